//! The pieces that schemas are made of.

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

/// A key, what it means, and the form of its value.
pub(super) type Row = (&'static str, &'static str, Value);

/// How a name is spelt.
pub(super) const NAME: &str = "^[a-z0-9][a-z0-9._-]*$";

/// A mapping with these keys and no others. What a key means is looked up in the rows; one without a row may be there,
/// and nothing is said of it.
pub(super) fn object(keys: &[&str], rows: &[Row]) -> Value {
    let property = |key: &&str| {
        let row = rows.iter().find(|(of, ..)| of == key);
        let form = row.map_or(Value::Bool(true), |(_, text, form)| described(form.clone(), text));
        ((*key).to_owned(), form)
    };
    let properties: Map<String, Value> = keys.iter().map(property).collect();
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

/// The same with keys that must be there.
pub(super) fn object_with(required: &[&str], keys: &[&str], rows: &[Row]) -> Value {
    with(object(keys, rows), json!({"required": required}))
}

/// A form to which more is demanded.
pub(super) fn with(form: Value, more: Value) -> Value {
    match (form, more) {
        (Value::Object(mut form), Value::Object(more)) => {
            form.extend(more);
            Value::Object(form)
        }
        (form, _) => form,
    }
}

pub(super) fn described(form: Value, text: &str) -> Value {
    with(form, json!({"description": text}))
}

/// What a definition says.
pub(super) fn of(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// A text; what is written bare may look like a number or a truth value to YAML and is a text all the same.
pub(super) fn text() -> Value {
    json!({"type": ["string", "number", "boolean"]})
}

/// A text of this form.
pub(super) fn written(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

pub(super) fn flag() -> Value {
    json!({"type": "boolean"})
}

/// A whole number, also in quotes.
pub(super) fn number(range: &RangeInclusive<u64>) -> Value {
    json!({"type": ["integer", "string"], "minimum": range.start(), "maximum": range.end(), "pattern": "^[0-9]+$"})
}

/// One of the words that a reader knows.
pub(super) fn words<T>(known: &[(&str, T)]) -> Value {
    json!({"enum": known.iter().map(|(word, _)| *word).collect::<Vec<_>>()})
}

pub(super) fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

pub(super) fn some_of(items: Value) -> Value {
    json!({"type": "array", "items": items, "minItems": 1})
}

/// One thing, or a list of them.
pub(super) fn one_or_many(item: Value) -> Value {
    either([item.clone(), some_of(item)])
}

pub(super) fn either(forms: impl IntoIterator<Item = Value>) -> Value {
    json!({"anyOf": forms.into_iter().collect::<Vec<_>>()})
}

/// Exactly one of these keys must be there.
pub(super) fn one_key_of(keys: &[&str]) -> Value {
    json!({"oneOf": keys.iter().map(|key| json!({"required": [key]})).collect::<Vec<_>>()})
}

/// A mapping whose keys are names of something.
pub(super) fn by_name(names: Value, value: Value) -> Value {
    json!({"type": "object", "propertyNames": names, "additionalProperties": value})
}

/// A name that is none of these words.
pub(super) fn name_but(reserved: &[&str]) -> Value {
    let reserved: Vec<&str> = reserved.iter().copied().chain(["default"]).collect();
    json!({"pattern": NAME, "maxLength": ::policy::keys::LONGEST_NAME, "not": {"enum": reserved}})
}
