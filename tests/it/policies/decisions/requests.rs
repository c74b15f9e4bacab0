//! Requests of every kind: how they are sent, what of them the policies see, and what the server asks the policies.
//!
//! None of them changes anything: those that would are damaged, so that they fail once they are allowed.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;
use minio_manager::{
    iam::{
        document::Document,
        evaluate::{self, Undecided, decide, denial},
        vocabulary::{Level, S3_ACTIONS},
    },
    minio::Credentials,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::Caller;
use crate::{
    proxy::wire::{Answer, Ask, Line},
    support::random::Random,
};

/// Buckets with the same objects.
pub const BUCKETS: [&str; 3] = ["lake", "lake2", "pond"];

/// The objects of each bucket, with their tags.
pub const OBJECTS: [(&str, &str); 6] = [
    ("a/b", ""),
    ("A/b", ""),
    ("al/x", "team=red"),
    ("home/alice/file", "stage=raw&team=blue"),
    ("ä b/c+d", "team=red"),
    ("dir/", ""),
];

/// Keys without an object.
const ABSENT: [&str; 8] = ["a", "a//b", "a*b", "dir", "home/b*b/file", "alice", "/lead", "$x/${aws:username}"];

const SOURCES: [(&str, &str); 4] = [("lake", "a/b"), ("pond", "al/x"), ("lake2", "home/alice/file"), ("lake", "alice")];

/// A version that no object has.
pub const VERSION: &str = "6a6a5d5e-0f7a-4a31-8b39-3c8f0d3ce7a1";

/// A kind of request.
#[derive(Debug)]
pub struct Operation {
    name: &'static str,
    method: &'static str,
    /// Parameters that make it this kind.
    subresource: &'static [(&'static str, &'static str)],
    /// What the server asks the policies for first.
    pub action: &'static str,
}

const fn op(
    name: &'static str,
    method: &'static str,
    subresource: &'static [(&'static str, &'static str)],
    action: &'static str,
) -> Operation {
    Operation { name, method, subresource, action }
}

const UPLOAD: (&str, &str) = ("uploadId", "none");

#[rustfmt::skip]
pub static OPERATIONS: [Operation; 31] = [
    op("AbortMultipartUpload", "DELETE", &[UPLOAD], "s3:AbortMultipartUpload"),
    op("CompleteMultipartUpload", "POST", &[UPLOAD], "s3:PutObject"),
    op("CopyObject", "PUT", &[], "s3:PutObject"),
    op("CreateBucket", "PUT", &[], "s3:CreateBucket"),
    op("CreateMultipartUpload", "POST", &[("uploads", "")], "s3:PutObject"),
    op("DeleteBucket", "DELETE", &[], "s3:DeleteBucket"),
    op("DeleteObject", "DELETE", &[], "s3:DeleteObject"),
    op("DeleteObjectTagging", "DELETE", &[("tagging", "")], "s3:DeleteObjectTagging"),
    op("DeleteObjects", "POST", &[("delete", "")], "s3:DeleteObject"),
    op("GetBucketLocation", "GET", &[("location", "")], "s3:GetBucketLocation"),
    op("GetBucketPolicy", "GET", &[("policy", "")], "s3:GetBucketPolicy"),
    op("GetBucketTagging", "GET", &[("tagging", "")], "s3:GetBucketTagging"),
    op("GetBucketVersioning", "GET", &[("versioning", "")], "s3:GetBucketVersioning"),
    op("GetObject", "GET", &[], "s3:GetObject"),
    op("GetObjectAttributes", "GET", &[("attributes", "")], "s3:GetObjectAttributes"),
    op("GetObjectLegalHold", "GET", &[("legal-hold", "")], "s3:GetObjectLegalHold"),
    op("GetObjectRetention", "GET", &[("retention", "")], "s3:GetObjectRetention"),
    op("GetObjectTagging", "GET", &[("tagging", "")], "s3:GetObjectTagging"),
    op("HeadBucket", "HEAD", &[], "s3:HeadBucket"),
    op("HeadObject", "HEAD", &[], "s3:GetObject"),
    op("ListBuckets", "GET", &[], "s3:ListAllMyBuckets"),
    op("ListMultipartUploads", "GET", &[("uploads", "")], "s3:ListBucketMultipartUploads"),
    op("ListObjectVersions", "GET", &[("versions", "")], "s3:ListBucketVersions"),
    op("ListObjects", "GET", &[], "s3:ListBucket"),
    op("ListObjectsV2", "GET", &[("list-type", "2")], "s3:ListBucket"),
    op("ListParts", "GET", &[UPLOAD], "s3:ListMultipartUploadParts"),
    op("PutObject", "PUT", &[], "s3:PutObject"),
    op("PutObjectTagging", "PUT", &[("tagging", "")], "s3:PutObjectTagging"),
    op("RestoreObject", "POST", &[("restore", "")], "s3:RestoreObject"),
    op("UploadPart", "PUT", &[("partNumber", "1"), UPLOAD], "s3:PutObject"),
    op("UploadPartCopy", "PUT", &[("partNumber", "1"), UPLOAD], "s3:PutObject"),
];

impl Operation {
    fn level(&self) -> Level {
        S3_ACTIONS.iter().find(|action| action.name == self.action).expect("an operation has a known action").level
    }

    fn is_listing(&self) -> bool {
        matches!(self.name, "ListObjects" | "ListObjectsV2" | "ListObjectVersions")
    }

    fn is_copy(&self) -> bool {
        matches!(self.name, "CopyObject" | "UploadPartCopy")
    }

    /// The keys whose objects a request of this kind is sent for. Tags are asked for before the policies are, so that of what is
    /// not there nobody learns whether it is allowed.
    fn keys(&self) -> Vec<&'static str> {
        let there = OBJECTS.iter().map(|(key, _)| *key);
        match self.name {
            "GetObjectTagging" => there.collect(),
            "DeleteObjectTagging" => OBJECTS.iter().filter(|(_, tags)| tags.is_empty()).map(|(key, _)| *key).collect(),
            "PutObjectTagging" => ABSENT.to_vec(),
            // Where keys come in a body, the server takes a//b for a/b, and deletes what is there.
            "DeleteObjects" => ABSENT.into_iter().filter(|key| !key.contains("//")).collect(),
            _ => there.chain(ABSENT).collect(),
        }
    }
}

/// A request.
#[derive(Debug)]
pub struct Request {
    operation: &'static Operation,
    /// Of what it is about; empty where it has none.
    bucket: &'static str,
    key: &'static str,
    /// Of what it copies.
    source: Option<(&'static str, &'static str)>,
    version: Option<&'static str>,
    /// Beyond what makes up its kind.
    query: Vec<(&'static str, &'static str)>,
    headers: Vec<(&'static str, String)>,
    body: String,
    source_ip: &'static str,
    tags: &'static str,
    /// Signed in its query.
    presigned: bool,
}

const TAGS: [&str; 3] = ["team=red", "team=blue", "stage=raw&team=red"];
const PREFIXES: [&str; 9] = ["", "a/", "a/b", "A/", "home/alice/", "home/al?ce/", "home/b*b/", "secret/", "ä b/"];
const AGENTS: [&str; 3] = ["nightly/1", "Nightly/1", "browser"];
const REFERERS: [&str; 3] = ["https://inside.example/", "https://inside.example/a", "alice"];

/// Headers that say where a request comes from, and where that is.
const ORIGINS: [(&str, &str, &str); 7] = [
    ("X-Forwarded-For", "10.1.2.3", "10.1.2.3"),
    ("X-Forwarded-For", "192.0.2.1, 10.1.2.3", "192.0.2.1"),
    ("X-Forwarded-For", "[2001:db8::7]:443", "2001:db8::7"),
    ("X-Forwarded-For", "somewhere", "somewhere"),
    ("X-Real-IP", "2001:db8::7", "2001:db8::7"),
    ("X-Real-IP", "::ffff:10.1.2.3", "::ffff:10.1.2.3"),
    ("Forwarded", "for=192.0.2.60;proto=https", "192.0.2.60"),
];

/// Headers and parameters that are named like keys of conditions.
const CLAIMED_HEADERS: [(&str, &str); 22] = [
    ("Authtype", "POST"),
    ("Currenttime", "2030-01-01T00:00:00Z"),
    ("Delimiter", "/"),
    ("Epochtime", "5"),
    ("Groups", "team"),
    ("Max-Keys", "5"),
    ("Max-Keys", "x"),
    ("Name", "alice"),
    ("Preferred_username", "somebody"),
    ("Prefix", "a/"),
    ("Prefix", "home/alice/"),
    ("Principaltype", "Account"),
    ("Principaltype", "User"),
    ("Securetransport", "true"),
    ("Signatureversion", "AWS4-HMAC-SHA256"),
    ("Sourceip", "10.1.2.3"),
    ("Sub", "somebody"),
    ("User", "alice"),
    ("Useragent", "nightly/1"),
    ("Userid", "alice"),
    ("Username", "alice"),
    ("Versionid", "null"),
];
const CLAIMED_PARAMETERS: [(&str, &str); 26] = [
    ("CurrentTime", "2030-01-01T00:00:00Z"),
    ("Currenttime", "1969-12-31T23:59:59Z"),
    ("EpochTime", "5"),
    ("Epochtime", "5"),
    ("ExistingObjectTag/team", "red"),
    ("LocationConstraint", "alice"),
    ("Prefix", "a/"),
    ("Referer", "alice"),
    ("RequestObjectTagKeys", "team"),
    ("SecureTransport", "true"),
    ("Securetransport", "true"),
    ("SourceIp", "10.1.2.3"),
    ("Sourceip", "10.1.2.3"),
    ("UserAgent", "nightly/1"),
    ("Username", "alice"),
    ("X-Amz-Storage-Class", "STANDARD"),
    ("groups", "team"),
    ("object-lock-mode", "GOVERNANCE"),
    ("principaltype", "Account"),
    ("signatureAge", "5"),
    ("sub", "somebody"),
    ("user", "alice"),
    ("userid", "alice"),
    ("username", "alice"),
    ("versionid", "null"),
    ("x-amz-storage-class", "STANDARD"),
];

impl Request {
    /// Any request.
    pub fn some(random: &mut Random) -> Self {
        let operation = random.pick(&OPERATIONS);
        let level = operation.level();
        let mut request = Self {
            operation,
            bucket: if level == Level::Server { "" } else { *random.pick(&BUCKETS) },
            key: if level == Level::Object { *random.pick(&operation.keys()) } else { "" },
            source: None,
            version: None,
            query: Vec::new(),
            headers: Vec::new(),
            body: String::new(),
            source_ip: "127.0.0.1",
            tags: "",
            presigned: false,
        };
        request.choose_version(random);
        request.ask_for_a_page(random);
        request.claim_an_origin(random);
        request.claim_conditions(random);
        request.write(random);
        request.tag(random);
        request.presigned = request.may_be_presigned() && random.percent(15);
        request
    }

    pub fn kind(&self) -> &'static str {
        self.operation.name
    }

    fn choose_version(&mut self, random: &mut Random) {
        let versions: &[&str] = match self.operation.name {
            "GetObject" | "HeadObject" | "GetObjectAttributes" | "CopyObject" | "UploadPartCopy" => &["null", VERSION],
            "GetObjectTagging" | "DeleteObjectTagging" => &["null"],
            "DeleteObject" | "DeleteObjects" => &[VERSION],
            _ => return,
        };
        let deletes_what_is_there = self.operation.name == "DeleteObject" && !ABSENT.contains(&self.key);
        if deletes_what_is_there || random.percent(40) {
            self.version = Some(*random.pick(versions));
        }
        if !self.operation.is_copy() && self.operation.name != "DeleteObjects" {
            self.query.extend(self.version.map(|version| ("versionId", version)));
        }
    }

    fn ask_for_a_page(&mut self, random: &mut Random) {
        if !self.operation.is_listing() {
            return;
        }
        if random.percent(75) {
            let mut prefixes = vec![*random.pick(&PREFIXES)];
            if random.percent(10) {
                prefixes.push(*random.pick(&PREFIXES));
            }
            // The signature is of values in order.
            prefixes.sort_by_key(|prefix| encoded(prefix));
            self.query.extend(prefixes.into_iter().map(|prefix| ("prefix", prefix)));
        }
        if random.percent(50) {
            self.query.push(("delimiter", *random.pick(&["/", "", "b"])));
        }
        if random.percent(50) {
            self.query.push(("max-keys", *random.pick(&["0", "5", "1000", "+5", "x"])));
        }
    }

    fn claim_an_origin(&mut self, random: &mut Random) {
        if random.percent(35) {
            let (name, value, source_ip) = *random.pick(&ORIGINS);
            self.headers.push((name, value.to_owned()));
            self.source_ip = source_ip;
        }
        if random.percent(35) {
            self.headers.push(("User-Agent", random.pick(&AGENTS).to_string()));
        }
        if random.percent(35) {
            self.headers.push(("Referer", random.pick(&REFERERS).to_string()));
        }
    }

    fn claim_conditions(&mut self, random: &mut Random) {
        if random.percent(20) {
            let (name, value) = *random.pick(&CLAIMED_HEADERS);
            self.headers.push((name, value.to_owned()));
        }
        if random.percent(20) {
            self.query.push(*random.pick(&CLAIMED_PARAMETERS));
        }
    }

    /// Adds what makes a request one that writes, and one that fails once it is allowed.
    fn write(&mut self, random: &mut Random) {
        match self.operation.name {
            "PutObject" => {
                self.body = "content".to_owned();
                self.headers.push(("Content-MD5", BASE64.encode([0; 16])));
            }
            "UploadPart" => self.body = "content".to_owned(),
            "CompleteMultipartUpload" | "RestoreObject" => self.body = "<None/>".to_owned(),
            "DeleteObjects" => {
                let version =
                    self.version.map(|version| format!("<VersionId>{version}</VersionId>")).unwrap_or_default();
                self.body = format!("<Delete><Object><Key>{}</Key>{version}</Object></Delete>", self.key);
                self.headers.push(("x-amz-checksum-sha256", BASE64.encode(Sha256::digest(&self.body))));
            }
            "GetObjectAttributes" => self.headers.push(("x-amz-object-attributes", "ETag".to_owned())),
            _ => {}
        }
        if self.operation.is_copy() {
            let (bucket, key) = *random.pick(&SOURCES);
            let slash = if random.percent(50) { "/" } else { "" };
            let version = self.version.map(|version| format!("?versionId={version}")).unwrap_or_default();
            self.source = Some((bucket, key));
            self.headers.push(("x-amz-copy-source", format!("{slash}{bucket}/{key}{version}")));
            self.headers.push(("x-amz-tagging-directive", "NEITHER".to_owned()));
            if random.percent(50) {
                self.headers.push(("x-amz-metadata-directive", random.pick(&["COPY", "REPLACE"]).to_string()));
            }
        }
        if self.operation.action == "s3:PutObject" && random.percent(40) {
            let (name, value) = *random.pick(&[
                ("x-amz-storage-class", "STANDARD"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ("x-amz-object-lock-mode", "GOVERNANCE"),
                ("x-amz-object-lock-legal-hold", "ON"),
                ("x-amz-object-lock-retain-until-date", "2030-01-01T00:00:00Z"),
                ("x-amz-server-side-encryption", "AES256"),
            ]);
            self.headers.push((name, value.to_owned()));
        }
    }

    /// Gives it tags that the policies see: those of the object before those that it brings.
    fn tag(&mut self, random: &mut Random) {
        if self.operation.name == "PutObjectTagging" {
            self.tags = *random.pick(&TAGS);
            let tag = |(key, value): (&str, &str)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
            let tags: String = pairs(self.tags).map(tag).collect();
            self.body = format!("<Tagging><TagSet>{tags}</TagSet></Tagging>");
            return;
        }
        if random.percent(15) {
            self.tags = *random.pick(&TAGS);
            self.headers.push(("x-amz-tagging", self.tags.to_owned()));
        }
        let reads_tags =
            matches!(self.operation.name, "GetObject" | "HeadObject" | "GetObjectTagging" | "DeleteObjectTagging");
        let of_object = OBJECTS.iter().find(|(key, tags)| *key == self.key && !tags.is_empty());
        if let (true, true, Some((_, tags))) = (reads_tags, self.version != Some(VERSION), of_object) {
            self.tags = *tags;
        }
    }

    /// Headers of S3 are signed, which links do not.
    fn may_be_presigned(&self) -> bool {
        self.body.is_empty() && !self.headers.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("x-amz-"))
    }

    /// Sends it.
    pub fn send(&self, line: &Line, who: &Credentials) -> Answer {
        let mut ask = Ask {
            method: self.operation.method,
            target: path(self.bucket, if self.operation.name == "DeleteObjects" { "" } else { self.key }),
            headers: self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect(),
            body: self.body.as_bytes(),
            ..Ask::default()
        };
        for (name, value) in self.operation.subresource.iter().chain(&self.query) {
            ask = ask.query(&format!("{}={}", encoded(name), encoded(value)));
        }
        if self.presigned { line.send_unsigned(&line.presign(who, &ask)) } else { line.send(who, &ask) }
    }

    /// Whether the documents of whoever asks allow it.
    pub fn allowed(&self, documents: &[Document], caller: &Caller) -> Result<bool, Undecided> {
        let conditions = self.conditions(caller);
        let request = |action, bucket, key| evaluate::Request {
            action,
            bucket,
            key,
            conditions: &conditions,
            username: caller.user,
        };
        let may =
            |action, bucket, key| decide(documents.iter(), &request(action, bucket, key)).map(|said| said.allowed);
        let may_here = |action| may(action, self.bucket, self.key);
        match self.operation.name {
            "ListBuckets" => {
                Ok(may_here(self.operation.action)? || self.sees_a_bucket(documents, conditions.clone(), caller)?)
            }
            "DeleteObjects" if self.version.is_some() => {
                let version = request("s3:DeleteObjectVersion", self.bucket, self.key);
                Ok(denial(documents.iter(), &version)?.is_none() && may_here(self.operation.action)?)
            }
            "GetObjectAttributes" => {
                let [attributes, content] = match self.version {
                    Some(_) => ["s3:GetObjectVersionAttributes", "s3:GetObjectVersion"],
                    None => ["s3:GetObjectAttributes", "s3:GetObject"],
                };
                let there = !ABSENT.contains(&self.key) && self.version != Some(VERSION);
                Ok(may_here(attributes)? && may_here(content)? && (there || may_here("s3:ListBucket")?))
            }
            _ => match self.source {
                Some((bucket, key)) => Ok(may_here(self.operation.action)? && may("s3:GetObject", bucket, key)?),
                None => may_here(self.operation.action),
            },
        }
    }

    /// Without the right to list all buckets, those are listed that somebody may list or locate.
    fn sees_a_bucket(
        &self,
        documents: &[Document],
        mut conditions: BTreeMap<String, Vec<String>>,
        caller: &Caller,
    ) -> Result<bool, Undecided> {
        conditions.insert("Prefix".to_owned(), vec![String::new()]);
        conditions.insert("Delimiter".to_owned(), vec!["/".to_owned()]);
        for bucket in BUCKETS {
            for action in ["s3:ListBucket", "s3:GetBucketLocation"] {
                let request =
                    evaluate::Request { action, bucket, key: "", conditions: &conditions, username: caller.user };
                if decide(documents.iter(), &request)?.allowed {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// What the server makes of a request for conditions: what it knows itself, then headers, then parameters.
    fn conditions(&self, caller: &Caller) -> BTreeMap<String, Vec<String>> {
        let now = Timestamp::now();
        let mut conditions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut add = |name: &str, value: &str| conditions.entry(name.to_owned()).or_default().push(value.to_owned());
        add("CurrentTime", &now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        add("EpochTime", &now.as_second().to_string());
        add("SecureTransport", "false");
        add("SourceIp", self.source_ip);
        add("UserAgent", self.header("User-Agent"));
        add("Referer", self.header("Referer"));
        add("principaltype", if caller.is_key { "AssumedRole" } else { "User" });
        add("versionid", self.version.filter(|_| self.operation.name != "DeleteObjects").unwrap_or_default());
        add("signatureversion", "AWS4-HMAC-SHA256");
        add("authType", if self.presigned { "REST-QUERY-STRING" } else { "REST-HEADER" });
        for (key, value) in pairs(self.tags) {
            add(&format!("ExistingObjectTag/{key}"), value);
            add(&format!("RequestObjectTag/{key}"), value);
            add("RequestObjectTagKeys", key);
        }
        if self.presigned {
            // In milliseconds; no policy asks for more than whether it is very small or very large.
            add("signatureAge", "500");
        } else {
            add("X-Amz-Content-Sha256", &hex::encode(Sha256::digest(&self.body)));
        }
        for (name, value) in &self.headers {
            match canonical(name).as_str() {
                "X-Amz-Tagging" => {}
                name => add(
                    name.strip_prefix("X-Amz-").filter(|name| name.starts_with("Object-Lock-")).unwrap_or(name),
                    value,
                ),
            }
        }
        self.operation.subresource.iter().chain(&self.query).for_each(|(name, value)| add(name, value));
        conditions
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| *other == name).map_or("", |(_, value)| value)
    }
}

/// The path of an object, or of a bucket, as it is sent.
pub fn path(bucket: &str, key: &str) -> String {
    const KEPT: AsciiSet = NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    let separator = if key.is_empty() { "" } else { "/" };
    format!("/{bucket}{separator}{}", utf8_percent_encode(key, &KEPT))
}

fn encoded(text: &str) -> String {
    const KEPT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, &KEPT).to_string()
}

/// The tags of `a=b&c=d`.
fn pairs(tags: &str) -> impl Iterator<Item = (&str, &str)> {
    tags.split('&').filter_map(|tag| tag.split_once('='))
}

/// A header's name as the server spells it.
fn canonical(name: &str) -> String {
    let part = |part: &str| part[..1].to_uppercase() + &part[1..].to_lowercase();
    name.split('-').map(part).collect::<Vec<_>>().join("-")
}
