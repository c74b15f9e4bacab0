//! Documents with one damage that is known.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use super::{as_list, document};
use crate::iam::vocabulary::{KEYS, known_action, takes_key};

/// A document with one damage, and the place that a finding has to name.
pub(crate) fn damaged() -> impl Strategy<Value = (Value, String)> {
    let damages: Vec<Damage> = vec![
        rename_document_field,
        rename_statement_field,
        misspell_action,
        unknown_operator,
        unknown_key,
        foreign_field,
        other_version,
        mixed_services,
        star_action,
        wrong_effect,
        no_statements,
        no_actions,
        no_resource,
        bare_resource,
        empty_condition,
        repeated_action,
        number_as_action,
        unsafe_variable,
        foreign_key,
        qualified_number,
        null_condition,
    ];
    (document(), select(damages), any::<Index>(), any::<Index>()).prop_filter_map(
        "the damage does not fit",
        |(mut document, damage, at, letter)| {
            let count = document["Statement"].as_array()?.len();
            let number = at.index(count);
            let place = damage(&mut document, number, letter)?;
            Some((document, place))
        },
    )
}

type Damage = fn(&mut Value, usize, Index) -> Option<String>;

fn fields(document: &mut Value, number: usize) -> Option<&mut Map<String, Value>> {
    document["Statement"][number].as_object_mut()
}

fn other_case(name: &str, pick: usize) -> String {
    if pick.is_multiple_of(2) { name.to_lowercase() } else { name.to_uppercase() }
}

fn rename(fields: &mut Map<String, Value>, pick: Index) -> Option<String> {
    let names: Vec<String> = fields.keys().cloned().collect();
    let name = &names[pick.index(names.len())];
    let renamed = other_case(name, pick.index(1000));
    let value = fields.remove(name)?;
    fields.insert(renamed.clone(), value);
    Some(renamed)
}

fn rename_document_field(document: &mut Value, _: usize, pick: Index) -> Option<String> {
    rename(document.as_object_mut()?, pick)
}

fn rename_statement_field(document: &mut Value, number: usize, pick: Index) -> Option<String> {
    Some(format!("Statement[{number}].{}", rename(fields(document, number)?, pick)?))
}

fn misspell_action(document: &mut Value, number: usize, letter: Index) -> Option<String> {
    let action = fields(document, number)?.get_mut("Action")?;
    let (text, place) = match action {
        Value::Array(actions) => (actions.first_mut()?, format!("Statement[{number}].Action[0]")),
        one => (one, format!("Statement[{number}].Action")),
    };
    let mut letters: Vec<char> = text.as_str()?.chars().collect();
    let at = letter.index(letters.len());
    letters[at] = if letters[at] == 'x' { 'y' } else { 'x' };
    let wrong: String = letters.into_iter().collect();
    if known_action(&wrong).is_some() {
        return None;
    }
    *text = json!(wrong);
    Some(place)
}

fn first_key(document: &mut Value, number: usize) -> Option<(&mut Map<String, Value>, String, String)> {
    let operators = fields(document, number)?.get_mut("Condition")?.as_object_mut()?;
    let operator = operators.keys().next()?.clone();
    let key = operators[&operator].as_object()?.keys().next()?.clone();
    Some((operators, operator, key))
}

fn unknown_operator(document: &mut Value, number: usize, pick: Index) -> Option<String> {
    let (operators, operator, _) = first_key(document, number)?;
    let wrong = match pick.index(3) {
        0 if operator != "NumericGreaterThan" => format!("{operator}IfExists"),
        1 => operator.to_lowercase(),
        _ => format!("ForSomeValues:{operator}"),
    };
    let keys = operators.remove(&operator)?;
    operators.insert(wrong.clone(), keys);
    Some(format!("Statement[{number}].Condition.{wrong}"))
}

fn unknown_key(document: &mut Value, number: usize, letter: Index) -> Option<String> {
    let (operators, operator, key) = first_key(document, number)?;
    let mut letters: Vec<char> = key.split('/').next()?.chars().collect();
    letters.remove(letter.index(letters.len()));
    let wrong: String = letters.into_iter().collect();
    if KEYS.contains(&wrong.as_str()) {
        return None;
    }
    let keys = operators.get_mut(&operator)?.as_object_mut()?;
    let values = keys.remove(&key)?;
    keys.insert(wrong.clone(), values);
    Some(format!("Statement[{number}].Condition.{operator}.{wrong}"))
}

fn foreign_field(document: &mut Value, number: usize, pick: Index) -> Option<String> {
    let names = ["Conditon", "Principal", "NotPrincipal", "NotAction", "sid", "Comment"];
    let name = names[pick.index(names.len())];
    fields(document, number)?.insert(name.to_owned(), json!("s3:GetObject"));
    Some(format!("Statement[{number}].{name}"))
}

fn other_version(document: &mut Value, _: usize, pick: Index) -> Option<String> {
    let versions = [json!("2008-10-17"), json!(""), json!(20_121_017), Value::Null];
    document["Version"] = versions[pick.index(versions.len())].clone();
    Some("Version".to_owned())
}

fn mixed_services(document: &mut Value, number: usize, _: Index) -> Option<String> {
    let actions = as_list(fields(document, number)?.get_mut("Action")?);
    let s3 = actions[0].as_str()?.starts_with("s3:");
    actions.push(json!(if s3 { "admin:Heal" } else { "s3:GetObject" }));
    Some(format!("Statement[{number}].Action"))
}

fn star_action(document: &mut Value, number: usize, pick: Index) -> Option<String> {
    let stars = ["*", "**", "*:*", "*GetObject", "?3:GetObject"];
    fields(document, number)?.insert("Action".to_owned(), json!(stars[pick.index(stars.len())]));
    Some(format!("Statement[{number}].Action"))
}

fn wrong_effect(document: &mut Value, number: usize, pick: Index) -> Option<String> {
    let effects = [json!("allow"), json!("ALLOW"), json!(""), json!(true), json!(["Allow"])];
    fields(document, number)?.insert("Effect".to_owned(), effects[pick.index(effects.len())].clone());
    Some(format!("Statement[{number}].Effect"))
}

fn no_statements(document: &mut Value, number: usize, pick: Index) -> Option<String> {
    document["Statement"] = match pick.index(3) {
        0 => json!([]),
        1 => Value::Null,
        _ => document["Statement"][number].take(),
    };
    Some("Statement".to_owned())
}

fn no_actions(document: &mut Value, number: usize, pick: Index) -> Option<String> {
    let fields = fields(document, number)?;
    match pick.index(3) {
        0 => fields.remove("Action"),
        1 => fields.insert("Action".to_owned(), json!([])),
        _ => fields.insert("Action".to_owned(), json!("")),
    };
    Some(format!("Statement[{number}].Action"))
}

fn no_resource(document: &mut Value, number: usize, _: Index) -> Option<String> {
    let fields = fields(document, number)?;
    let s3 = as_list(fields.get_mut("Action")?)[0].as_str()?.starts_with("s3:");
    fields.remove("NotResource");
    fields.remove("Resource");
    s3.then(|| format!("Statement[{number}].Resource"))
}

fn bare_resource(document: &mut Value, number: usize, pick: Index) -> Option<String> {
    let wrong = [
        "lake/*",
        "s3://lake/*",
        "arn:aws:s3::lake/*",
        "arn:aws:s3:::",
        "arn:aws:s3:::/a",
        "arn:minio:x:::lake",
        "*lake",
    ];
    let fields = fields(document, number)?;
    fields.remove("NotResource");
    fields.insert("Resource".to_owned(), json!(wrong[pick.index(wrong.len())]));
    Some(format!("Statement[{number}].Resource"))
}

fn empty_condition(document: &mut Value, number: usize, pick: Index) -> Option<String> {
    let (condition, rest) = match pick.index(3) {
        0 => (json!({}), ""),
        1 => (json!({"StringLike": {}}), ".StringLike"),
        _ => (json!({"StringLike": {"aws:username": []}}), ".StringLike.aws:username"),
    };
    fields(document, number)?.insert("Condition".to_owned(), condition);
    Some(format!("Statement[{number}].Condition{rest}"))
}

fn repeated_action(document: &mut Value, number: usize, pick: Index) -> Option<String> {
    let actions = as_list(fields(document, number)?.get_mut("Action")?);
    let again = actions[pick.index(actions.len())].clone();
    actions.push(again);
    Some(format!("Statement[{number}].Action[{}]", actions.len() - 1))
}

fn number_as_action(document: &mut Value, number: usize, _: Index) -> Option<String> {
    fields(document, number)?.insert("Action".to_owned(), json!([1]));
    Some(format!("Statement[{number}].Action[0]"))
}

fn unsafe_variable(document: &mut Value, number: usize, pick: Index) -> Option<String> {
    let names = ["jwt:sub", "ldap:username", "aws:groups", "aws:Referer", "aws:Username", "*", "nothing"];
    let text = format!("a/${{{}}}/*", names[pick.index(names.len())]);
    let fields = fields(document, number)?;
    if fields.get("Condition").is_some() || fields["Action"] == "sts:AssumeRoleWithWebIdentity" {
        return None;
    }
    fields.insert("Condition".to_owned(), json!({"StringLike": {"aws:username": ["x", text]}}));
    Some(format!("Statement[{number}].Condition.StringLike.aws:username[1]"))
}

fn foreign_key(document: &mut Value, number: usize, pick: Index) -> Option<String> {
    let keys =
        ["s3:prefix", "s3:x-amz-storage-class", "svc:DurationSeconds", "sts:DurationSeconds", "s3:ExistingObjectTag/a"];
    let key = keys[pick.index(keys.len())];
    let fields = fields(document, number)?;
    let bare = key.split('/').next()?;
    if as_list(fields.get_mut("Action")?).iter().all(|action| takes_key(action.as_str().unwrap_or_default(), bare)) {
        return None;
    }
    fields.insert("Condition".to_owned(), json!({"StringEquals": {key: "a"}}));
    Some(format!("Statement[{number}].Condition.StringEquals.{key}"))
}

fn qualified_number(document: &mut Value, number: usize, _: Index) -> Option<String> {
    let condition = json!({"ForAllValues:NumericEquals": {"aws:EpochTime": 1}});
    fields(document, number)?.insert("Condition".to_owned(), condition);
    Some(format!("Statement[{number}].Condition.ForAllValues:NumericEquals"))
}

fn null_condition(document: &mut Value, number: usize, _: Index) -> Option<String> {
    fields(document, number)?.insert("Condition".to_owned(), Value::Null);
    Some(format!("Statement[{number}].Condition"))
}
