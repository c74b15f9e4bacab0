use proptest::prelude::*;
use serde_json::json;

use super::samples::{any_json, damaged, document, mutated, rewritten};
use super::*;

fn findings(document: Value) -> Vec<String> {
    check(&document, &CheckOptions::default()).unwrap_err().iter().map(Finding::to_string).collect()
}

fn passes(document: Value) -> Checked {
    check(&document, &CheckOptions::default()).unwrap_or_else(|findings| panic!("{findings:?}"))
}

/// A document with one statement, an ordinary one except for the fields given; null takes a field away.
fn with(fields: Value) -> Value {
    let mut statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"});
    for (name, value) in fields.as_object().unwrap() {
        match value {
            Value::Null => statement.as_object_mut().unwrap().remove(name),
            value => statement.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

#[test]
fn findings_are_sentences_with_the_right_spelling() {
    let list = json!({"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b"});
    let listing = |condition: Value| {
        let mut fields = list.clone();
        fields["Condition"] = condition;
        with(fields)
    };
    for (document, sentence) in [
        (
            with(json!({"Action": ["s3:GetObjct"]})),
            r#"Statement[0].Action[0]: unknown action "s3:GetObjct"; did you mean "s3:GetObject"?"#,
        ),
        (
            with(json!({"Action": "ListObjectsV2"})),
            r#"Statement[0].Action: unknown action "ListObjectsV2"; did you mean "s3:ListBucket"?"#,
        ),
        (
            with(json!({"Action": "*"})),
            r#"Statement[0].Action: "*" would stand for every bucket and all of administration; name the service; did you mean "s3:*"?"#,
        ),
        (
            with(json!({"Action": "admin:Get*", "Resource": null})),
            r#"Statement[0].Action: unknown action "admin:Get*"; of patterns the server knows only admin:* here"#,
        ),
        (
            with(json!({"Action": ["s3:GetObject", "admin:Heal"]})),
            "Statement[0].Action: mixes s3 and admin actions; write a statement for each of these services",
        ),
        (
            with(json!({"Conditon": {}})),
            r#"Statement[0].Conditon: unknown field, which the server would drop; did you mean "Condition"?"#,
        ),
        (
            with(json!({"Effect": "allow"})),
            r#"Statement[0].Effect: must be Allow or Deny, not "allow"; did you mean "Allow"?"#,
        ),
        (
            with(json!({"Resource": null})),
            "Statement[0].Resource: missing; name what the actions apply to, such as arn:aws:s3:::bucket/*",
        ),
        (
            with(json!({"Resource": "s3a://b/x/*"})),
            r#"Statement[0].Resource: "s3a://b/x/*" is not a resource such as arn:aws:s3:::bucket/*; did you mean "arn:aws:s3:::b/x/*"?"#,
        ),
        (
            with(json!({"Resource": "arn:aws:s3:::b/${aws:UserName}/*"})),
            r#"Statement[0].Resource: unknown variable "${aws:UserName}"; did you mean "${aws:username}"?"#,
        ),
        (
            with(json!({"Resource": "arn:aws:s3:::b/${aws:username/*"})),
            r#"Statement[0].Resource: has "${" without a closing "}""#,
        ),
        (
            with(json!({"Action": "admin:Heal"})),
            "Statement[0].Resource: admin actions ignore it and apply to everything; leave it out",
        ),
        (
            listing(json!({"StringLike": {"s3:prefx": "a/*"}})),
            r#"Statement[0].Condition.StringLike.s3:prefx: unknown condition key; did you mean "s3:prefix"?"#,
        ),
        (
            listing(json!({"StringLikeIfExists": {"s3:prefix": "a/*"}})),
            r#"Statement[0].Condition.StringLikeIfExists: the server has no such operator with IfExists; did you mean "StringLike"?"#,
        ),
        (
            listing(json!({"ForAllValue:StringLike": {"s3:prefix": "a/*"}})),
            r#"Statement[0].Condition.ForAllValue:StringLike: unknown qualifier "ForAllValue"; did you mean "ForAllValues:StringLike"?"#,
        ),
        (
            with(json!({"Condition": {"StringLike": {"s3:prefix": "a/*"}}})),
            "Statement[0].Condition.StringLike.s3:prefix: does not apply to s3:GetObject; give s3:ListBucket and \
             s3:ListBucketVersions a statement of its own",
        ),
        (
            listing(json!({"NumericLessThan": {"s3:max-keys": ["10", "x"]}})),
            "Statement[0].Condition.NumericLessThan.s3:max-keys: takes one value, a whole number",
        ),
        (
            listing(json!({"StringEquals": {"s3:max-keys": 10}})),
            "Statement[0].Condition.StringEquals.s3:max-keys: must be a text, not a number",
        ),
        (
            with(json!({"Condition": {"IpAddress": {"aws:SourceIp": "2001:db8::1"}}})),
            r#"Statement[0].Condition.IpAddress.aws:SourceIp: an IPv6 address without length would be taken for a /32 network; did you mean "2001:db8::1/128"?"#,
        ),
        (
            with(json!({"Condition": {"StringEquals": {"s3:ExistingObjectTag": "x"}}})),
            "Statement[0].Condition.StringEquals.s3:ExistingObjectTag: name the tag: s3:ExistingObjectTag/<tag>",
        ),
        (json!([]), "document: must be an object, not a list"),
        (json!({"Version": "2012-10-17"}), "Statement: missing; write at least one statement"),
    ] {
        assert_eq!(findings(document).first().map(String::as_str), Some(sentence));
    }
}

/// The rows of the table in `docs/policies.md`: a statement with the field, and what is said of it.
#[test]
fn the_messages_of_the_documentation_are_those_of_the_check() {
    let page = include_str!("../../../docs/policies.md");
    let rows = page.lines().filter(|line| line.contains("Statement[0]") && line.starts_with("| `"));
    let rows: Vec<(&str, &str)> = rows.filter_map(|line| line.strip_prefix("| ")?.split_once(" | ")).collect();
    assert_eq!(rows.len(), 8);
    for (written, said) in rows {
        let said = said.strip_prefix('`').and_then(|said| said.strip_suffix("` |")).unwrap();
        let (field, _) = written.strip_prefix('`').unwrap().split_once('`').unwrap();
        let field = field.replace("{...}", r#"{"s3:prefix": "a/*"}"#);
        let condition = |operators: String| {
            let fields =
                format!(r#"{{"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b", "Condition": {{{operators}}}}}"#);
            with(serde_json::from_str(&fields).unwrap())
        };
        let document = match &*field {
            variable if variable.starts_with("${") => with(json!({"Resource": format!("arn:aws:s3:::b/{variable}/*")})),
            key if key.starts_with("\"aws:") => condition(format!(r#""StringEquals": {{{key}}}"#)),
            operator if operator.starts_with("\"String") => condition(operator.to_owned()),
            plain => with(serde_json::from_str(&format!("{{{plain}}}")).unwrap()),
        };
        assert_eq!(findings(document), [said]);
    }
}

#[test]
fn what_somebody_named_is_shown_without_what_a_terminal_obeys() {
    let name = format!("Numeric\u{1b}[2J{}", "x".repeat(5_000));
    let [finding] = findings(with(json!({"Condition": {name: {"aws:username": "a"}}}))).try_into().unwrap();
    assert!(finding.starts_with("Statement[0].Condition.Numeric\u{fffd}[2Jxx") && finding.len() < 200, "{finding}");
    let tag = "x".repeat(5_000);
    let misspelt = with(json!({"Condition": {"StringEquals": {format!("s3:ExistingObjctTag/{tag}"): "a"}}}));
    assert!(findings(misspelt).iter().all(|finding| finding.len() < 400));
    let bucket = passes(with(json!({"Action": "s3:*", "Resource": "arn:aws:s3:::b\u{1b}[2J/*"})));
    assert!(!bucket.warnings[0].to_string().contains('\u{1b}'), "{}", bucket.warnings[0]);
}

#[test]
fn unsafe_variables_need_leave() {
    let document = with(json!({"Resource": "arn:aws:s3:::b/${jwt:sub}/*"}));
    assert_eq!(
        findings(document.clone()),
        [
            "Statement[0].Resource: callers can choose the value of ${jwt:sub}; use ${aws:username}, or set allowUnsafeVariables"
        ]
    );
    let checked = check(&document, &CheckOptions { allow_unsafe_variables: true, ..CheckOptions::default() }).unwrap();
    let place = "Statement[0].Resource".to_owned();
    assert_eq!(checked.warnings, [Warning::UnsafeVariable { place, variable: "${jwt:sub}".to_owned() }]);
}

#[test]
fn conditions_and_bucket_actions_are_warned_of() {
    assert_eq!(passes(with(json!({}))).warnings, []);
    let listing = passes(with(json!({
        "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b", "Condition": {"StringLike": {"s3:prefix": ["", "a/*"]}}
    })));
    let place = "Statement[0].Condition".to_owned();
    assert_eq!(listing.warnings, [Warning::ConditionsSpoofable { place }]);
    let all = passes(with(json!({"Action": "s3:*", "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]})));
    let [Warning::BucketActionsIncluded { resource, actions, effect, .. }] = all.warnings.as_slice() else {
        panic!("{:?}", all.warnings)
    };
    assert_eq!((resource.as_str(), *effect), ("arn:aws:s3:::b/*", Effect::Allow));
    assert!(actions.contains("s3:DeleteBucket") && actions.contains("s3:PutBucketPolicy"));
    assert!(!actions.contains("s3:GetObject"));
    assert!(all.warnings[0].to_string().contains("this also gives s3:CreateBucket, s3:DeleteBucket, "));
    for resource in ["arn:aws:s3:::b/a/*", "arn:aws:s3:::b", "arn:aws:s3:::*", "arn:aws:s3:::b/?*"] {
        assert_eq!(passes(with(json!({"Action": "s3:*", "Resource": resource}))).warnings, [], "{resource}");
    }
    assert_eq!(passes(with(json!({"Action": "s3:GetObject*"}))).warnings, []);
}

#[test]
fn admin_actions_are_recognised_where_they_are_given() {
    let admin = |effect: &str| {
        passes(json!({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": "admin:CreateUser"}]}))
    };
    assert!(admin("Allow").carries_admin_actions && !admin("Deny").carries_admin_actions);
    assert!(!passes(with(json!({"Action": "s3:*"}))).carries_admin_actions);
    let foreign = |statement: Value| Document::from_value(&json!({"Statement": [statement]})).unwrap();
    assert!(carries_admin_actions(&foreign(json!({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::b"}))));
    assert!(carries_admin_actions(&foreign(json!({"Effect": "Allow", "NotAction": "s3:*"}))));
    assert!(carries_admin_actions(&foreign(json!({"Effect": "Allow", "Action": ["s3:GetObject", "kms:*"]}))));
}

#[test]
fn what_is_sent_may_not_be_too_big() {
    let path = |length: usize| with(json!({"Resource": format!("arn:aws:s3:::b/{}", "x".repeat(length))}));
    let frame = passes(path(0)).document.size();
    assert_eq!(passes(path(MAX_BYTES - frame)).document.size(), MAX_BYTES);
    assert_eq!(findings(path(MAX_BYTES - frame + 1)), ["document: has 20481 bytes; the server takes at most 20480"]);
}

#[test]
fn findings_are_bounded() {
    let many: Vec<String> = (0..100).map(|number| format!("s3:Nothing{number}")).collect();
    assert_eq!(findings(with(json!({"Action": many}))).len(), MAX_FINDINGS);
}

#[test]
fn every_finding_is_reported() {
    let places: Vec<String> = check(
        &json!({
            "version": "2012-10-17",
            "Statement": [
                {"Effect": "Permit", "Action": ["s3:GetObject", "s3:Nothing"], "Resource": "b"},
                {"Sid": 1, "Effect": "Deny", "Action": "s3:PutObject", "Resource": "*", "NotResource": "arn:aws:s3:::b"},
            ],
        }),
        &CheckOptions::default(),
    )
    .unwrap_err()
    .into_iter()
    .map(|finding| finding.place)
    .collect();
    assert_eq!(
        places,
        [
            "version",
            "Statement[0].Effect",
            "Statement[0].Action[1]",
            "Statement[0].Resource",
            "Statement[1].Sid",
            "Statement[1].NotResource",
        ]
    );
}

/// Documents and what the policy package of the server (v3.1.3) says of them: true where it accepts them. Where it refuses,
/// the check must refuse; where it accepts what the check refuses, it would misread them.
#[test]
fn what_the_server_refuses_is_refused() {
    let recorded: Vec<(Value, bool)> = serde_json::from_str(include_str!("recorded.json")).unwrap();
    let (mut both, mut stricter, mut neither) = (0, 0, 0);
    for (document, accepted) in recorded {
        match (check(&document, &CheckOptions::default()).is_ok(), accepted) {
            (true, true) => both += 1,
            (false, true) => stricter += 1,
            (false, false) => neither += 1,
            (true, false) => panic!("the server refuses {document}"),
        }
    }
    assert!(both > 50 && stricter > 20 && neither > 50, "{both} {stricter} {neither}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_json_breaks_the_check(value in any_json()) {
        let _ = check(&value, &CheckOptions::default());
        let mut document = with(json!({}));
        document["Statement"][0]["Condition"] = value;
        let _ = check(&document, &CheckOptions::default());
    }

    #[test]
    fn whatever_passes_can_be_sent(document in mutated()) {
        if let Ok(checked) = check(&document, &CheckOptions::default()) {
            let sent = serde_json::from_str(&checked.document.to_json()).unwrap();
            let again = check(&sent, &CheckOptions::default());
            prop_assert!(again.is_ok_and(|again| again.document.same_meaning(&checked.document)), "{}", document);
        }
    }

    #[test]
    fn valid_documents_pass(document in document()) {
        prop_assert!(check(&document, &CheckOptions::default()).is_ok(), "{:?}", findings(document));
    }

    #[test]
    fn a_single_damage_is_refused_at_its_place((document, place) in damaged()) {
        let findings = check(&document, &CheckOptions::default()).err().unwrap_or_default();
        let named = findings.iter().any(|finding| finding.place.starts_with(&place));
        prop_assert!(named, "{} not among {:?} of {}", place, findings, document);
    }

    #[test]
    fn what_passed_survives_the_server(document in document(), seed in any::<u64>()) {
        let ours = passes(document.clone()).document;
        let again = Document::from_value(&serde_json::from_str(&ours.to_json()).unwrap()).unwrap();
        prop_assert_eq!(&again, &ours);
        prop_assert!(ours.same_meaning(&Document::from_value(&rewritten(document, seed)).unwrap()));
    }
}
