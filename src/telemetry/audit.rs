//! The audit trail: one JSON line on standard output for every change made on MinIO, whatever the log's format.

use std::io::{self, Write};

use serde::Serialize;

use crate::iam::change::Change;
use crate::iam::subject::{Cause, Subject};

/// One change made on MinIO and the objects that caused it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditLine {
    v: u8,
    target: &'static str,
    /// What was converged, for example `user bob`.
    pub subject: String,
    /// What was done, for example `write policy user-home-policy-bob`.
    pub change: String,
    /// What was there: the fingerprint of a document, or the former attachments.
    pub before: Option<String>,
    /// What is there now.
    pub after: Option<String>,
    /// The objects in their versions.
    pub because: Vec<Cause>,
}

impl AuditLine {
    /// A line of its parts; secrets have no place in any of them.
    pub fn new(
        subject: &Subject,
        change: impl Into<String>,
        before: Option<String>,
        after: Option<String>,
        because: impl IntoIterator<Item = Cause>,
    ) -> Self {
        Self {
            v: 1,
            target: "audit",
            subject: subject.to_string(),
            change: change.into(),
            before,
            after,
            because: because.into_iter().collect(),
        }
    }

    /// The line of a planned change that was carried out.
    pub fn of_change(subject: &Subject, change: &Change, because: impl IntoIterator<Item = Cause>) -> Self {
        let description = change.describe();
        let what = description.to_string();
        Self::new(subject, what, description.before, description.after, because)
    }
}

/// One call of the REST service that changed something: who made it, and the versions of the objects that it wrote. Joined
/// with the lines of the controller by uid and generation, it tells who changed what on MinIO.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallLine {
    v: u8,
    target: &'static str,
    /// Who called.
    pub caller: String,
    /// Method and route.
    pub call: String,
    /// The status of the answer.
    pub status: u16,
    /// The id of the request.
    pub request: String,
    /// The objects in the versions that were written; a deleted one has generation 0.
    pub wrote: Vec<Cause>,
}

impl CallLine {
    /// A line of its parts; tokens and secrets have no place in any of them.
    pub fn new(
        caller: String,
        call: String,
        status: u16,
        request: &str,
        wrote: impl IntoIterator<Item = Cause>,
    ) -> Self {
        Self {
            v: 1,
            target: "audit",
            caller,
            call,
            status,
            request: request.to_owned(),
            wrote: wrote.into_iter().collect(),
        }
    }
}

/// Writes a line to standard output. A failure is logged: the change itself has happened.
pub fn record(line: &impl Serialize) {
    if let Err(error) = write_line(line, io::stdout().lock()) {
        tracing::error!(%error, "cannot write the audit line");
    }
}

fn write_line(line: &impl Serialize, mut output: impl Write) -> io::Result<()> {
    let mut line = serde_json::to_vec(line)?;
    line.push(b'\n');
    // One write, so that lines of other threads and processes do not cut it in two.
    output.write_all(&line)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::names::UserName;
    use crate::iam::subject::{Kind, ObjectKey};

    fn bob() -> UserName {
        UserName::parse("bob").unwrap()
    }

    fn cause() -> Cause {
        let object = ObjectKey::new(Kind::PathShare, "lake", "exp1");
        Cause { object, uid: "0f".into(), generation: 3 }
    }

    fn written(line: &AuditLine) -> String {
        let mut output = Vec::new();
        write_line(line, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn a_line_has_exactly_the_documented_shape() {
        let line = AuditLine::new(&Subject::User(bob()), "write policy p", Some("a1".into()), None, [cause()]);
        assert_eq!(
            written(&line),
            concat!(
                r#"{"v":1,"target":"audit","subject":"user bob","change":"write policy p","before":"a1","after":null,"#,
                r#""because":[{"kind":"PathShare","namespace":"lake","name":"exp1","uid":"0f","generation":3}]}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_change_says_what_was_done() {
        let line = AuditLine::of_change(&Subject::User(bob()), &Change::DeleteUser { user: bob() }, []);
        assert_eq!(line.change, "delete user bob");
        assert_eq!(line.because, []);
    }

    #[test]
    fn a_line_stays_one_line() {
        let line = AuditLine::new(&Subject::Everyone, "two\nlines", None, None, []);
        assert_eq!(written(&line).matches('\n').count(), 1);
    }
}
