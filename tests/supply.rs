//! What the program is made of: licences that `deny.toml` allows, packages from crates.io alone, and a whole bill of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cargo_metadata::{Metadata, MetadataCommand};
use serde_json::Value;

#[path = "../examples/sbom.rs"]
#[expect(dead_code, reason = "its `main` is the example's")]
mod sbom;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metadata() -> Metadata {
    let options = ["--locked".to_owned()];
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).other_options(options).exec().unwrap()
}

/// The texts in quotes of a list of `deny.toml`.
fn listed(text: &str, key: &str) -> Vec<String> {
    let start = text.find(&format!("\n{key} = [")).unwrap();
    let list = &text[start..start + text[start..].find(']').unwrap()];
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether an expression of licences can be met: `OR` binds weaker than `AND`.
fn met(words: &mut std::iter::Peekable<std::slice::Iter<'_, String>>, allowed: &[String]) -> bool {
    let mut any = both(words, allowed);
    while words.next_if(|word| *word == "OR").is_some() {
        any |= both(words, allowed);
    }
    any
}

fn both(words: &mut std::iter::Peekable<std::slice::Iter<'_, String>>, allowed: &[String]) -> bool {
    let mut all = one(words, allowed);
    while words.next_if(|word| *word == "AND").is_some() {
        all &= one(words, allowed);
    }
    all
}

fn one(words: &mut std::iter::Peekable<std::slice::Iter<'_, String>>, allowed: &[String]) -> bool {
    let word = words.next().unwrap();
    if word == "(" {
        let met = met(words, allowed);
        assert_eq!(words.next().map(String::as_str), Some(")"));
        return met;
    }
    let exception = words.next_if(|word| *word == "WITH").and_then(|_| words.next());
    let name = exception.map_or(word.clone(), |exception| format!("{word} WITH {exception}"));
    allowed.contains(&name)
}

fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', "( ").replace(')', " )").replace('/', " OR ");
    let words: Vec<String> = spaced.split_whitespace().map(str::to_owned).collect();
    let mut words = words.iter().peekable();
    let met = met(&mut words, allowed);
    assert!(words.next().is_none(), "`{expression}` is not understood");
    met
}

#[test]
fn expressions_of_licences_are_read() {
    let allowed = ["MIT".to_owned(), "ISC".to_owned()];
    for (expression, expected) in [
        ("MIT", true),
        ("MIT-0", false),
        ("GPL-3.0 OR MIT", true),
        ("Apache-2.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("MIT AND ISC", true),
        ("(MIT OR GPL-3.0) AND GPL-2.0", false),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("MIT WITH some-exception", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}

#[test]
fn licences_are_those_of_the_list_and_come_from_one_registry() {
    let text = fs::read_to_string(root().join("deny.toml")).unwrap();
    let (allowed, registries) = (listed(&text, "allow"), listed(&text, "allow-registry"));
    let metadata = metadata();
    let foreign = || metadata.packages.iter().filter_map(|package| Some((package, package.source.as_ref()?)));
    let refused = |allowed: &[String]| -> Vec<String> {
        let licence = |license: &Option<String>| license.as_ref().is_some_and(|text| is_allowed(text, allowed));
        foreign()
            .filter(|(package, _)| !licence(&package.license))
            .map(|(package, _)| package.name.to_string())
            .collect()
    };
    assert_eq!(refused(&allowed), Vec::<String>::new(), "packages of licences that are not allowed");
    for needless in &allowed {
        let others: Vec<String> = allowed.iter().filter(|other| *other != needless).cloned().collect();
        assert!(!refused(&others).is_empty(), "no package needs {needless}");
    }
    for (package, source) in foreign() {
        let known = registries.iter().any(|registry| source.repr == format!("registry+{registry}"));
        assert!(known, "{} comes from {source}", package.name);
    }
}

#[test]
fn the_bill_is_whole() {
    let sums = sbom::sums(&fs::read_to_string(root().join("Cargo.lock")).unwrap());
    let bill = sbom::bill(&metadata(), &sums).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&Value::from("CycloneDX"), &Value::from("1.5")));
    let components = bill["components"].as_array().unwrap();
    let names: BTreeSet<&str> = components.iter().map(|component| component["name"].as_str().unwrap()).collect();
    assert!(names.contains("rustls") && names.contains("policy"), "what the program is built from is there");
    assert!(!names.contains("boon"), "what only tests need is not");
    for component in components {
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
        let sum = component["hashes"][0]["content"].as_str().unwrap_or_default();
        assert_eq!(component.get("purl").is_some(), sum.len() == 64, "{component}");
    }
    let references =
        |value: &Value| value.as_array().unwrap().iter().map(|of| of.as_str().unwrap().to_owned()).collect();
    let own: Vec<Value> = components.iter().map(|component| component["bom-ref"].clone()).collect();
    let own: BTreeSet<String> = references(&Value::Array(own));
    let dependencies = bill["dependencies"].as_array().unwrap();
    assert_eq!(dependencies.len(), components.len() + 1);
    for dependency in dependencies {
        let below: BTreeSet<String> = references(&dependency["dependsOn"]);
        assert!(below.is_subset(&own), "{dependency}");
    }
}
