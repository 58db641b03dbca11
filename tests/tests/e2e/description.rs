//! Every answer in these tests is held against the API's own description: the status and each key must be declared.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::http::{Reply, plain_get};

/// The descriptions that were read, by server address.
static READ: Mutex<BTreeMap<String, Value>> = Mutex::new(BTreeMap::new());

/// Holds an answer against the description of the server that gave it.
#[track_caller]
pub(crate) fn check(method: &str, address: &str, path: &str, reply: &Reply) {
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let description =
        read.entry(address.to_owned()).or_insert_with(|| plain_get(address, "/openapi.json").body);
    let path = path.split('?').next().unwrap();
    let Some(operation) = operation(description, method, path) else {
        assert!([404, 405].contains(&reply.status), "{method} {path} is not described: {}", reply.status);
        return;
    };
    let content = &operation["responses"][reply.status.to_string()]["content"];
    assert!(content.is_object(), "{method} {path} declares no {}: {}", reply.status, reply.body);
    let schema = &content["application/json"]["schema"];
    if let Err(why) = fits(description, schema, &reply.body, "answer") {
        panic!("{method} {path} {}: {why}\n{}", reply.status, reply.body);
    }
}

/// The description of a call; a path without variables goes before one with them.
pub(crate) fn operation<'a>(description: &'a Value, method: &str, path: &str) -> Option<&'a Value> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<&str> = path.split('/').collect();
    let matches = |template: &str| {
        let template: Vec<&str> = template.split('/').collect();
        let same = |(t, p): (&&str, &&str)| t == p || (t.starts_with('{') && !p.is_empty());
        template.len() == parts.len() && template.iter().zip(&parts).all(same)
    };
    let paths = description["paths"].as_object()?;
    let (_, item) =
        paths.iter().filter(|(template, _)| matches(template)).min_by_key(|(t, _)| t.matches('{').count())?;
    item.get(method.to_ascii_lowercase())
}

/// Whether a value is as a schema says; keys that the schema does not name do not fit.
fn fits(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#')).ok_or(format!("no {reference}"))?;
        return fits(root, target, value, at);
    }
    if let Some(all) = schema["anyOf"].as_array() {
        let whys: Vec<String> = all.iter().filter_map(|one| fits(root, one, value, at).err()).collect();
        return if whys.len() < all.len() { Ok(()) } else { Err(whys.join("; or ")) };
    }
    let types = match &schema["type"] {
        Value::Null => Vec::new(),
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    if !types.is_empty() && !types.iter().any(|one| is(value, one)) {
        return Err(format!("{at} is {value}, not {types:?}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Err(format!("{at} is {value}, none of {words:?}"));
    }
    if let Some(items) = value.as_array() {
        let each = items.iter().enumerate();
        return each
            .into_iter()
            .try_for_each(|(i, item)| fits(root, &schema["items"], item, &format!("{at}[{i}]")));
    }
    match (value.as_object(), schema["properties"].as_object()) {
        (Some(entries), Some(known)) => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            for key in required {
                if !entries.contains_key(key) {
                    return Err(format!("{at} has no {key}"));
                }
            }
            for (key, entry) in entries {
                match known.get(key) {
                    Some(schema) => fits(root, schema, entry, &format!("{at}.{key}"))?,
                    None => return Err(format!("{at}.{key} is not declared")),
                }
            }
            Ok(())
        }
        (Some(entries), None) if schema["maxProperties"] == 0 && !entries.is_empty() => {
            Err(format!("{at} must be empty"))
        }
        _ => Ok(()),
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("unknown type {other}"),
    }
}
