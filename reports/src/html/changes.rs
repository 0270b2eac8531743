//! What changed since an earlier run.

use super::markup::Markup;
use crate::compare::{Change, Compared, compare};
use crate::run::Run;
use crate::words::count;

pub(super) fn write(page: &mut Markup, run: &Run, earlier: &Run) {
    let all = compare(run, earlier);
    page.constant("<section>\n<h2 id=changes>Since the earlier run</h2>\n");
    for (change, title, class) in TITLES {
        let found: Vec<&Compared<'_>> = all.iter().filter(|compared| compared.change == change).collect();
        if !found.is_empty() {
            group(page, (title, class), &found);
        }
    }
    let same = all.iter().filter(|compared| compared.change == Change::Same).count();
    page.element("p", &[], &format!("As before: {}.", count(same, "scenario")));
    page.constant("</section>\n");
}

const TITLES: [(Change, &str, &str); 7] = [
    (Change::NewlyFailing, "✗ newly failing", "bad"),
    (Change::StillFailing, "✗ still failing", "bad"),
    (Change::NewlyPassing, "✓ newly passing", "good"),
    (Change::New, "+ new", "faint"),
    (Change::Gone, "– gone", "faint"),
    (Change::LeftOut, "– left out, ran before", "faint"),
    (Change::TakenIn, "+ runs, was left out before", "faint"),
];

/// A longer list is folded, unless it is of scenarios that fail.
const MOST: usize = 8;

fn group(page: &mut Markup, (title, class): (&str, &str), found: &[&Compared<'_>]) {
    let folded = found.len() > MOST && class != "bad";
    let open: &[(&'static str, &str)] = if folded { &[] } else { &[("open", "")] };
    page.within("details", open, |details| {
        details.within("summary", &[], |heading| {
            heading.element("span", &[("class", class)], title).text(&format!(": {}", found.len()));
        });
        details.within("ul", &[], |list| {
            for compared in found {
                list.within("li", &[], |item| one(item, compared));
            }
        });
    });
}

fn one(item: &mut Markup, compared: &Compared<'_>) {
    match compared.number {
        Some(number) => item.element("a", &[("href", &format!("#s{number}"))], &compared.id.name),
        None => item.text(&compared.id.name),
    };
    item.constant(" ").element("code", &[], &compared.id.file);
    let [now, before] = [compared.now, compared.before].map(|outcome| outcome.map_or("absent", |one| one.as_str()));
    item.text(&format!(" ({before} before, {now} now"));
    if compared.findings > 0 {
        item.text(&format!("; {}, {} of them new", count(compared.findings, "finding"), compared.new_findings));
    }
    item.constant(")");
}
