//! `minio-manager vocabulary`: what policy documents may say, as a page of the documentation.

use std::fmt::Write as _;
use std::path::Path;

use super::Failure;
use super::output;
use crate::iam::check::Stricter;
use crate::iam::vocabulary::{
    ADMIN_ACTIONS, ADMIN_KEYS, COMMON_KEYS, KEYS, KMS_ACTIONS, Level, OPERATIONS, OPERATORS, Operator, QUALIFIERS,
    S3_ACTIONS, SAFE_VARIABLES, SERVERS, SOURCE, STS_ACTIONS, STS_KEYS, TAG_KEYS, Values,
};

/// Prints the page, or writes it into a file.
///
/// # Errors
/// When the file or the standard output cannot be written.
pub fn run(file: Option<&Path>) -> Result<(), Failure> {
    Ok(output::deliver(&text(), file)?)
}

/// The page.
fn text() -> String {
    let mut page = Page(format!(
        "# What policy documents may say\n\nWritten by `minio-manager vocabulary`: change the code, and `make generate`. \
         [policies.md](policies.md) says what\nkeys and variables mean, and whom to believe.\n\nEvery name is from {SOURCE}, which the \
         community server uses\nfrom {}: that is the server version of every row; the\nsource is with each table. A real server is \
         asked for all of them, and for each misspelt\n(`policies::vocabulary::the_server_knows_every_action_and_none_that_is_misspelt` \
         and its neighbours).\n",
        SERVERS.join(" to ")
    ));
    page.s3_actions();
    page.other_actions();
    page.operators();
    page.keys();
    page.stricter();
    page.0
}

struct Page(String);

impl Page {
    fn table(&mut self, heading: &str, source: &str, columns: &[&str]) {
        let names = columns.join(" | ");
        let rule = vec!["---"; columns.len()].join(" | ");
        let _ = write!(self.0, "\n## {heading}\n\nSource: `{source}` of {SOURCE}.\n\n| {names} |\n| {rule} |\n");
    }

    fn row(&mut self, cells: &[&str]) {
        let _ = writeln!(self.0, "| {} |", cells.join(" | "));
    }

    fn s3_actions(&mut self) {
        self.table("Actions on data", "policy/action.go", &["action", "about", "keys beyond the common ones"]);
        for action in S3_ACTIONS {
            let about = match action.level {
                Level::Object => "an object",
                Level::Bucket => "a bucket",
                Level::Server => "all buckets",
            };
            self.row(&[&code(action.name), about, &codes(action.keys)]);
        }
        self.0
            .push_str("\nPatterns with `*` and `?` are possible: `s3:Get*`. These are no actions but operations:\n\n");
        self.0.push_str("| operation | allowed by |\n| --- | --- |\n");
        for (operation, action) in OPERATIONS {
            self.row(&[&code(operation), &code(action)]);
        }
    }

    fn other_actions(&mut self) {
        for (heading, source, actions) in [
            ("Actions on the server", "policy/admin-action.go", &ADMIN_ACTIONS[..]),
            ("Actions on encryption keys", "policy/kms-action.go", &KMS_ACTIONS),
            ("Actions on temporary credentials", "policy/sts-action.go", &STS_ACTIONS),
        ] {
            self.table(heading, source, &["action"]);
            for action in actions {
                self.row(&[&code(action)]);
            }
        }
        self.0.push_str("\nOf patterns there are `admin:*` and `kms:*`.\n");
    }

    fn operators(&mut self) {
        self.table("Operators of conditions", "policy/condition/name.go", &["operator", "compares with", "qualifiers"]);
        for operator in OPERATORS {
            let qualifiers = match operator.values {
                Values::Text | Values::Base64 => codes(&QUALIFIERS),
                _ => String::new(),
            };
            self.row(&[&code(operator.name), values(&operator), &qualifiers]);
        }
        self.0.push_str("\nOf the `IfExists` operators of AWS only the one above exists.\n");
    }

    fn keys(&mut self) {
        let columns = ["key", "with", "as a variable"];
        self.table("Keys of conditions, and variables", "policy/condition/keyname.go", &columns);
        for key in KEYS {
            let variable = match (COMMON_KEYS.contains(&key), SAFE_VARIABLES.contains(&key)) {
                (_, true) => format!("`${{{key}}}`"),
                (true, false) => format!("`${{{key}}}` with `allowUnsafeVariables`"),
                (false, false) => String::new(),
            };
            let shown = if TAG_KEYS.contains(&key) { format!("{key}/TAG") } else { key.to_owned() };
            self.row(&[&code(&shown), &takers(key), &variable]);
        }
    }

    fn stricter(&mut self) {
        self.0.push_str(
            "\n## What the server takes and minio-manager refuses\n\nOf everything else a real server and the check say \
             the same\n(`policies::differential::the_check_and_the_server_agree`, 5,100 documents of another seed each time).\n\n\
             | in a document | on the server |\n| --- | --- |\n",
        );
        for case in Stricter::ALL {
            self.row(&[&code(case.example()), case.on_the_server()]);
        }
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn codes(texts: &[&str]) -> String {
    texts.iter().map(|text| code(text)).collect::<Vec<_>>().join(", ")
}

fn values(operator: &Operator) -> &'static str {
    match operator.values {
        Values::Text if operator.name.ends_with("Like") => "patterns",
        Values::Text => "texts",
        Values::Base64 => "texts in base64",
        Values::Bool if operator.name == "Bool" => "`true` or `false`; `aws:SecureTransport` only",
        Values::Bool => "`true` (the key is missing) or `false`",
        Values::Date => "a time: `2027-01-31T00:00:00Z`",
        Values::Network => "networks: `10.0.0.0/8`; `aws:SourceIp` only",
        Values::Number => "a whole number",
    }
}

/// The actions that take a key.
fn takers(key: &str) -> String {
    let names: Vec<&str> =
        S3_ACTIONS.iter().filter(|action| action.keys.contains(&key)).map(|action| action.name).collect();
    match (COMMON_KEYS.contains(&key), ADMIN_KEYS.contains(&key), STS_KEYS.contains(&key)) {
        (true, true, _) => "all but `sts:`".to_owned(),
        (true, false, _) => "all of `s3:`".to_owned(),
        (false, true, _) => "`admin:`, `kms:`".to_owned(),
        (false, false, true) => "`sts:`".to_owned(),
        (false, false, false) => codes(&names),
    }
}

#[cfg(test)]
mod tests {
    const COMMITTED: &str = include_str!("../../docs/policy-vocabulary.md");

    #[test]
    fn committed_page_is_what_the_tables_say() {
        assert!(COMMITTED == super::text(), "docs/policy-vocabulary.md is out of date: run `make generate`");
    }
}
