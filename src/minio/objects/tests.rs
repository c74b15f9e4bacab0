use super::*;

fn page(xml: &str) -> Result<ObjectPage, Error> {
    let raw: RawListing = quick_xml::de::from_str(xml).unwrap();
    raw.try_into()
}

#[test]
fn a_listing_is_read_with_its_keys_decoded() {
    let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix></Prefix><KeyCount>2</KeyCount><MaxKeys>2</MaxKeys><IsTruncated>true</IsTruncated><NextContinuationToken>dG9rZW4</NextContinuationToken><EncodingType>url</EncodingType><Contents><Key>a+b%2Bc%0A</Key><LastModified>2026-11-21T23:00:29.190Z</LastModified><ETag>&#34;d4&#34;</ETag><Size>5</Size></Contents><Contents><Key>d/%C3%A9</Key><Size>0</Size></Contents></ListBucketResult>"#;
    let page = page(xml).unwrap();
    assert_eq!(page.next.as_deref(), Some("dG9rZW4"));
    let brief: Vec<_> = page.objects.iter().map(|object| (object.key.as_str(), object.size)).collect();
    assert_eq!(brief, [("a b+c\n", 5), ("d/é", 0)]);
}

#[test]
fn an_empty_listing_is_the_last_page() {
    let xml = "<ListBucketResult><IsTruncated>false</IsTruncated><NextContinuationToken>x</NextContinuationToken></ListBucketResult>";
    assert_eq!(page(xml).unwrap(), ObjectPage::default());
}

#[test]
fn a_listing_cut_off_without_continuation_is_an_error() {
    let error = page("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>").unwrap_err();
    assert_eq!(error.class(), Class::Internal);
}

#[test]
fn deletion_failures_are_read() {
    let none: RawDeletion = quick_xml::de::from_str("<DeleteResult></DeleteResult>").unwrap();
    assert!(none.errors.is_empty());
    let one = "<DeleteResult><Error><Code>AccessDenied</Code><Message>no</Message><Key>k</Key><VersionId></VersionId></Error></DeleteResult>";
    let one: RawDeletion = quick_xml::de::from_str(one).unwrap();
    assert_eq!((one.errors[0].key.as_str(), one.errors[0].code.as_str()), ("k", "AccessDenied"));
}

#[test]
fn keys_are_written_so_that_xml_keeps_them() {
    for (key, escaped) in [
        ("a&b<c>d", "a&amp;b&lt;c&gt;d"),
        ("line\r\nend\ttab", "line&#13;&#10;end&#9;tab"),
        ("&amp;", "&amp;amp;"),
        (" \u{e9}", " \u{e9}"),
    ] {
        assert!(fits_xml(key));
        assert_eq!(escape(key), escaped);
    }
    assert!(!fits_xml("a\u{1}b") && !fits_xml("\u{ffff}"));
}
