//! What holds for every page of the documentation.

use std::collections::BTreeSet;

use crate::{files, none, root};

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let mut complaints = Vec::new();
    for file in files(".md") {
        for (line, target) in links(&file.text) {
            if let Err(why) = follow(&file.path, &target) {
                complaints.push(format!("{}:{line}: {target}: {why}", file.path));
            }
        }
    }
    none(complaints);
}

/// Whether a link from that page leads somewhere. Links to other places are not followed: a test needs no network.
fn follow(page: &str, target: &str) -> Result<(), String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(());
    }
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let page = root().join(page);
    let linked = if path.is_empty() { page } else { page.parent().unwrap().join(path) };
    if !linked.exists() {
        return Err("there is no such file".into());
    }
    if heading.is_empty() {
        return Ok(());
    }
    let text = std::fs::read_to_string(linked).map_err(|error| error.to_string())?;
    if headings(&text).contains(heading) { Ok(()) } else { Err("there is no such heading".into()) }
}

/// The lines that are prose: not those in fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The targets of links, `[text](target)` and `[text]: target`, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        // What is between backquotes is code.
        let line: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for rest in line.split("](").skip(1) {
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            found.push((number, target.to_owned()));
        }
        if let (true, Some((_, target))) = (line.starts_with('['), line.split_once("]: ")) {
            found.push((number, target.trim().to_owned()));
        }
    }
    found
}

/// The anchors of a page's headings, made as the usual viewers make them.
fn headings(text: &str) -> BTreeSet<String> {
    let anchor = |title: &str| -> String {
        let kept = |c: char| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        };
        title.trim().to_lowercase().chars().filter_map(kept).collect()
    };
    let titles = prose(text).filter(|(_, line)| line.starts_with('#'));
    titles.map(|(_, line)| anchor(line.trim_start_matches('#'))).collect()
}

#[test]
fn links_are_found_outside_of_code() {
    let page =
        "see [a](b.md) and [c](d.md#e \"title\")\n```\n[no](no.md)\n```\n`[no](no.md)` [f](g)\n\n[h]: i.md\n";
    let found = [(1, "b.md"), (1, "d.md#e"), (5, "g"), (7, "i.md")];
    assert_eq!(links(page), found.map(|(line, target)| (line, target.to_owned())));
}

#[test]
fn a_heading_has_its_anchor() {
    let page = "# The `loop`, once more\n```\n# no heading\n```\n## R1-R11\n";
    assert_eq!(headings(page), BTreeSet::from(["the-loop-once-more".into(), "r1-r11".into()]));
}
