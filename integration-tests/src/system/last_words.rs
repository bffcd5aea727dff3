//! What the processes had to say last, short enough to be read.

/// So many lines are shown.
const LINES: usize = 60;

/// Of so many persons an access line names the ids; one of a list has two hundred.
const IDS: usize = 5;

/// Where they begin in such a line.
const NAMED: &str = r#""ids":""#;

/// The end of a log.
pub(super) fn last_words(logged: &str) -> String {
    let lines: Vec<&str> = logged.lines().collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    let last: Vec<String> = last.iter().map(|line| shortened(line)).collect();
    last.join("\n")
}

/// A line without most of the ids that it names.
fn shortened(line: &str) -> String {
    let named = line.split_once(NAMED);
    let Some((before, (ids, after))) =
        named.and_then(|(before, rest)| Some((before, rest.split_once('"')?)))
    else {
        return line.to_owned();
    };
    let ids: Vec<&str> = ids.split(' ').collect();
    let Some((first, rest)) = ids
        .split_at_checked(IDS)
        .filter(|(_, rest)| !rest.is_empty())
    else {
        return line.to_owned();
    };
    let first = first.join(" ");
    format!("{before}{NAMED}{first} and {} more\"{after}", rest.len())
}
