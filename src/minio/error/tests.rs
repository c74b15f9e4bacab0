//! Bodies as recorded from a real server.

use super::*;

fn answered(call: Call, status: u16, body: &str) -> Error {
    Error::answered(call, StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes())
}

fn admin_body(code: &str, message: &str) -> String {
    format!(
        r#"{{"Code":"{code}","Message":"{message}","Resource":"/minio/admin/v3/x","RequestId":"18EA","HostId":"d665"}}"#
    )
}

#[test]
fn recorded_answers_have_their_class() {
    for (call, status, code, message, class) in [
        (Call::UserInfo, 404, "XMinioAdminNoSuchUser", "The specified user does not exist.", Class::Absent),
        (Call::GroupInfo, 404, "XMinioAdminNoSuchGroup", "The specified group does not exist.", Class::Absent),
        (Call::PolicyInfo, 404, "XMinioAdminNoSuchPolicy", "The canned policy does not exist.", Class::Absent),
        (
            Call::AccessKeyInfo,
            404,
            "XMinioAdminNoSuchAccessKey",
            "The specified access key does not exist.",
            Class::Absent,
        ),
        (
            Call::DeleteAccessKey,
            404,
            "XMinioInvalidIAMCredentials",
            "The specified service account is not found",
            Class::Absent,
        ),
        (
            Call::AddUser,
            403,
            "XMinioInvalidIAMCredentials",
            "User is not allowed to be same as admin access key",
            Class::Refused,
        ),
        (Call::AttachPolicy, 400, "XMinioAdminPolicyChangeAlreadyApplied", "already in effect", Class::AlreadyApplied),
        (Call::CreateBucket, 409, "BucketAlreadyOwnedByYou", "Your previous request succeeded", Class::AlreadyApplied),
        (
            Call::UpdateGroupMembers,
            400,
            "XMinioAdminGroupNotEmpty",
            "The specified group is not empty",
            Class::Conflict,
        ),
        (
            Call::RemovePolicy,
            400,
            "XMinioIAMPolicyInUse",
            "The policy cannot be removed, as it is in use",
            Class::Conflict,
        ),
        (Call::AddAccessKey, 400, "XMinioIAMServiceAccountNotAllowed", "access key already taken", Class::Conflict),
        (
            Call::PutObject,
            412,
            "PreconditionFailed",
            "At least one of the pre-conditions did not hold",
            Class::Conflict,
        ),
        (Call::UserInfo, 403, "AccessDenied", "Access Denied.", Class::Refused),
        (Call::UserInfo, 403, "SignatureDoesNotMatch", "The request signature does not match", Class::Refused),
        (Call::UserInfo, 403, "RequestTimeTooSkewed", "The difference is too large", Class::Unavailable),
        (Call::PutPolicy, 400, "XMinioMalformedIAMPolicy", "policy has malformed document", Class::Invalid),
        (Call::PutPolicy, 400, "EntityTooLarge", "Your proposed upload exceeds the maximum size", Class::Invalid),
        (Call::ListUsers, 503, "XMinioIAMNotInitialized", "IAM sub-system not initialized", Class::Unavailable),
        (Call::AddUser, 503, "XMinioAdminConfigNoQuorum", "Configuration update failed", Class::Unavailable),
        (Call::AddAccessKey, 500, "InternalError", "invalid service account expiration", Class::Invalid),
        (Call::AddAccessKey, 500, "InternalError", "We encountered an internal error", Class::Internal),
    ] {
        let error = answered(call, status, &admin_body(code, message));
        assert_eq!(error.class(), class, "{status} {code}");
        assert_eq!((error.code(), error.message(), error.status()), (code, message, Some(status)));
    }
}

#[test]
fn xml_errors_are_read_too() {
    let body = r#"<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message><BucketName>b</BucketName><Resource>/b</Resource><RequestId>1</RequestId><HostId>2</HostId></Error>"#;
    let error = answered(Call::ListObjects, 404, body);
    assert_eq!((error.class(), error.code()), (Class::Absent, "NoSuchBucket"));
    assert_eq!(error.to_string(), "list-objects: The specified bucket does not exist");
}

#[test]
fn codes_and_messages_are_one_line_and_say_something() {
    let long = format!("<Error><Code>A\u{2}{}</Code><Message>\n</Message></Error>", "x".repeat(5_000));
    let error = answered(Call::UserInfo, 400, &long);
    assert!(error.code().starts_with("A xx") && error.code().len() == MESSAGE_LIMIT, "{}", error.code());
    assert!(error.message().starts_with("the server answered 400 A xx"), "{}", error.message());
    let blank = answered(Call::UserInfo, 400, r#"{"Code": " ", "Message": "\u0000\u0000"}"#);
    assert_eq!(blank.message(), "the server answered 400 Bad Request without a reason");
}

#[test]
fn head_errors_are_read_from_their_headers() {
    let mut headers = HeaderMap::new();
    headers.insert("x-minio-error-code", "NoSuchBucket".parse().unwrap());
    headers.insert("x-minio-error-desc", "\"The specified bucket does not exist\"".parse().unwrap());
    let error = Error::answered(Call::HeadBucket, StatusCode::NOT_FOUND, &headers, b"");
    assert_eq!((error.class(), error.message()), (Class::Absent, "The specified bucket does not exist"));
}

#[test]
fn a_strangers_404_does_not_mean_absent() {
    let error = answered(Call::UserInfo, 404, "<html><body>default backend - 404</body></html>");
    assert_eq!(error.class(), Class::Unavailable);
    assert_eq!(error.message(), "the server answered 404 Not Found without a reason");
    assert!(error.is_missing_route());
    assert!(!answered(Call::SetMapping, 404, &admin_body("XMinioAdminNoSuchPolicy", "x")).is_missing_route());
    assert!(answered(Call::SetMapping, 426, &admin_body("XMinioAdminVersionMismatch", "x")).is_missing_route());
}

#[test]
fn a_gateway_leaves_the_fate_of_a_change_open() {
    for status in [408, 502, 504] {
        assert_eq!(answered(Call::PutPolicy, status, "").class(), Class::Ambiguous, "{status}");
        assert_eq!(answered(Call::PolicyInfo, status, "").class(), Class::Unavailable, "{status}");
    }
    for status in [429, 503] {
        assert_eq!(answered(Call::PutPolicy, status, "").class(), Class::Unavailable, "{status}");
    }
}

#[test]
fn transport_errors_of_changes_are_ambiguous_unless_nothing_was_sent() {
    for (outcome, read, change) in [
        (Outcome::Connect, Class::Unavailable, Class::Unavailable),
        (Outcome::Timeout, Class::Unavailable, Class::Ambiguous),
        (Outcome::Broken, Class::Unavailable, Class::Ambiguous),
        (Outcome::Oversize, Class::Internal, Class::Ambiguous),
    ] {
        assert_eq!(Error::transport(Call::UserInfo, outcome, None).class(), read, "{outcome:?}");
        assert_eq!(Error::transport(Call::AddUser, outcome, None).class(), change, "{outcome:?}");
    }
}

#[test]
fn messages_are_short_and_on_one_line() {
    let error = answered(Call::AddUser, 400, &admin_body("X", &format!("a\\n\\tb{}", "c".repeat(2_000))));
    assert_eq!(error.message().chars().count(), MESSAGE_LIMIT);
    assert!(error.message().starts_with("a  bc"));
}
