//! The pages for whoever keeps a system running name commands that there are, and no tool that the reader may lack.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Parser as _;
use eldercare::cli::Cli;

/// Runs the operator's commands in a cluster.
const IN_A_CLUSTER: &str = "k8s/maintain";

/// The operator's command in the image.
const IN_THE_IMAGE: &str = "/usr/local/bin/eldercare";

/// What `k8s/maintain` knows.
const MAINTAINS: [&str; 5] = ["status", "top", "verify", "rebuild", "rotate-keys"];

/// Whatever a command ends before.
const ENDS: [&str; 6] = ["|", ">", "<<", "#", "&&", ";"];

/// Runbooks, and the pages about a cluster.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let runbooks = fs::read_dir(root.join("deploy/observability/runbooks")).unwrap();
    let mut files: Vec<_> = runbooks.map(|file| file.unwrap().path()).collect();
    let pages = [
        "README.md",
        "MAINTENANCE.md",
        "RESTORE.md",
        "secrets.example/README.md",
    ];
    files.extend(pages.map(|page| root.join("k8s").join(page)));
    let read = |file: PathBuf| {
        let page = fs::read_to_string(&file).unwrap();
        (file, page)
    };
    files.into_iter().map(read).collect()
}

/// What is code on a page: what stands between backquotes, and the lines of blocks for a shell, of which one may go on in the next.
fn code(page: &str) -> Vec<String> {
    let (mut code, mut prose, mut line_before) = (Vec::new(), String::new(), String::new());
    let mut block = None;
    for line in page.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            block = block.xor(Some(language));
        } else if block.is_none() {
            prose.push_str(line);
            prose.push(' ');
        } else if block != Some("sh") {
            // What is told, or asked of another tool.
        } else if let Some(goes_on) = line.strip_suffix('\\') {
            line_before.push_str(goes_on);
        } else {
            code.push(std::mem::take(&mut line_before) + line);
        }
    }
    let between = prose.split('`').skip(1).step_by(2);
    code.extend(between.map(str::to_owned));
    code
}

/// What the operator's command is given in some code, if it is called there, and whether in a cluster.
fn arguments(code: &str) -> Option<(bool, Vec<String>)> {
    let words: Vec<&str> = code.split_whitespace().collect();
    let called = |(place, word): (usize, &&str)| {
        [IN_A_CLUSTER, IN_THE_IMAGE].contains(word) || (place == 0 && *word == "eldercare")
    };
    let place = words.iter().enumerate().position(called)?;
    let given = words[place + 1..].iter();
    let given = given.take_while(|word| !ENDS.contains(word));
    // What a reader puts in its place.
    let given: Vec<_> = given
        .map(|word| match word.trim_matches(['"', '\'']) {
            "SEQUENCE:HEX" => format!("1:{}", "00".repeat(32)),
            word => word.to_owned(),
        })
        .collect();
    let told = !given.is_empty() && !code.contains('…');
    told.then_some((words[place] == IN_A_CLUSTER, given))
}

#[test]
fn each_command_of_the_operators_is_one_that_there_is() {
    let mut found = 0;
    for (file, page) in pages() {
        for code in code(&page) {
            let Some((in_a_cluster, given)) = arguments(&code) else {
                continue;
            };
            found += 1;
            if in_a_cluster {
                assert!(MAINTAINS.contains(&given[0].as_str()), "{code}");
            }
            let all = ["eldercare".to_owned()].into_iter().chain(given);
            let refused = Cli::try_parse_from(all).err();
            let refused = refused.filter(|told| told.use_stderr());
            assert!(
                refused.is_none(),
                "{}: {code}\n{}",
                file.display(),
                refused.unwrap()
            );
        }
    }
    assert!(found > 25, "{found}");
}

#[test]
fn no_page_asks_for_a_tool_that_the_reader_may_lack() {
    for (file, page) in pages() {
        for code in code(&page) {
            let words: Vec<&str> = code.split_whitespace().collect();
            let foreign = words.len() > 1 && ["nats", "grpcurl", "jq"].contains(&words[0]);
            let plugin = words.starts_with(&["kubectl", "cnpg"]);
            assert!(!foreign && !plugin, "{}: {code}", file.display());
        }
    }
}

#[test]
fn the_script_takes_each_job_from_one_that_there_is() {
    let k8s = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s");
    let script = fs::read_to_string(k8s.join("maintain")).unwrap();
    let sources = script
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("from="));
    let mut sources: Vec<_> = sources.collect();
    sources.sort_unstable();
    sources.dedup();
    assert_eq!(sources, ["read-models", "rotate-keys", "status"]);
    for source in sources {
        let folder = k8s.join("components/maintenance").join(source);
        let job = fs::read_to_string(folder.join("kustomization.yaml")).unwrap();
        assert!(job.contains(&format!("value: {source}\n")), "{source}");
    }
}
