//! Files of agreements' terms that nobody would write: the operator's commands read them or say that they can't.

use std::fs;

use eldercare::departments::Terms;
use serde_json::Value;

const SAMPLE: &str = r#"
department: health
purpose: 家庭医生签约
legal_basis: 川民〔2023〕100号
divisions: ["350524", "350525100"]
until: 2024-12-31
products:
  elder: {name: plain, id_number: masked, village: plain}
  tier: {tier: plain}
"#;

/// Tries terms as they stand in a file; what is read stays what it is when it is written.
fn tried(samples: impl FnOnce(&dyn Fn(&str))) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("terms.yaml");
    samples(&|text: &str| {
        fs::write(&file, text).unwrap();
        match Terms::read(&file) {
            Ok(terms) => {
                let written = serde_json::to_value(&terms).unwrap();
                let again: Terms = serde_json::from_value(written.clone()).unwrap();
                assert_eq!(serde_json::to_value(&again).unwrap(), written);
            }
            // Whose command it is, is told which file it is about.
            Err(error) => assert!(format!("{error:#}").contains("terms.yaml")),
        }
    });
}

#[test]
fn terms_of_any_bytes_are_read_or_refused() {
    tried(|target| fuzzing::text(&[SAMPLE], 400, target));
}

#[test]
fn terms_of_any_tree_are_read_or_refused() {
    let tree: Value = serde_saphyr::from_str(SAMPLE).unwrap();
    tried(|target| fuzzing::documents(&[tree], 400, target));
}
