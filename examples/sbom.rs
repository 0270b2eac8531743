//! Writes what the `eastwest` program is made of as a CycloneDX 1.5 bill of materials, from `cargo metadata --locked`.
//!
//! `scripts/sbom` runs it. What only tests need is left out. The same lock file gives the same bytes.
#![allow(clippy::print_stdout, reason = "the bill is its output")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use serde_json::{Value, json};

/// What the program is called.
const ROOT: &str = "eastwest";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut options = vec!["--locked".to_owned()];
    options.extend(std::env::args().nth(1).map(|target| format!("--filter-platform={target}")));
    let metadata = MetadataCommand::new().manifest_path(folder.join("Cargo.toml")).other_options(options).exec()?;
    let sums = sums(&std::fs::read_to_string(folder.join("Cargo.lock"))?);
    println!("{:#}", bill(&metadata, &sums).ok_or("cannot find the program among the packages")?);
    Ok(())
}

pub(crate) fn bill(metadata: &Metadata, sums: &BTreeMap<String, String>) -> Option<Value> {
    let root = metadata.workspace_packages().into_iter().find(|package| package.name == ROOT)?;
    let used = used(metadata, &root.id)?;
    let others = metadata.packages.iter().filter(|package| package.id != root.id && used.contains_key(&package.id));
    let mut others: Vec<&Package> = others.collect();
    others.sort_by_key(|package| reference(package));
    let all = std::iter::once(root).chain(others.iter().copied());
    let dependencies = all.map(|package| {
        let below: BTreeSet<String> = used[&package.id].iter().map(|id| reference(&metadata[id])).collect();
        json!({"ref": reference(package), "dependsOn": below})
    });
    let dependencies: Vec<Value> = dependencies.collect();
    let mut program = component(root, sums);
    program["type"] = json!("application");
    Some(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": program, "lifecycles": [{"phase": "build"}]},
        "components": others.iter().map(|package| component(package, sums)).collect::<Vec<_>>(),
        "dependencies": dependencies,
    }))
}

/// The packages that the program is built from, each with those that it uses itself.
fn used<'m>(metadata: &'m Metadata, root: &'m PackageId) -> Option<BTreeMap<&'m PackageId, Vec<&'m PackageId>>> {
    let nodes: BTreeMap<&PackageId, _> = metadata.resolve.as_ref()?.nodes.iter().map(|node| (&node.id, node)).collect();
    let mut used = BTreeMap::new();
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        if used.contains_key(id) {
            continue;
        }
        let dependencies = nodes.get(id)?.deps.iter();
        let built = dependencies
            .filter(|dependency| dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development));
        let below: Vec<&PackageId> = built.map(|dependency| &dependency.pkg).collect();
        open.extend(&below);
        used.insert(id, below);
    }
    Some(used)
}

fn component(package: &Package, sums: &BTreeMap<String, String>) -> Value {
    let reference = reference(package);
    let mut component = json!({
        "type": "library",
        "bom-ref": reference,
        "name": package.name.as_str(),
        "version": package.version.to_string(),
    });
    if let Some(license) = &package.license {
        // An older way to write "or".
        let expression = license.replace(" / ", "/").replace('/', " OR ");
        component["licenses"] = json!([{"expression": expression}]);
    }
    if package.source.is_some() {
        component["purl"] = json!(reference);
    }
    if let Some(sum) = sums.get(&reference) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
    }
    component
}

/// How the bill names a package.
fn reference(package: &Package) -> String {
    name(&package.name, &package.version.to_string())
}

fn name(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

/// The sums of the packages' archives, as the lock file has them.
pub(crate) fn sums(lock: &str) -> BTreeMap<String, String> {
    let value = |line: &str, key: &str| Some(line.strip_prefix(key)?.trim_matches([' ', '=', '"']).to_owned());
    let sum = |package: &str| {
        let find = |key: &str| package.lines().find_map(|line| value(line, key));
        Some((name(&find("name = ")?, &find("version = ")?), find("checksum = ")?))
    };
    lock.split("[[package]]").filter_map(sum).collect()
}
