//! Files of JSON that bear their own digest: what was damaged is not believed.

use std::{fs, path::Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sm3::{Digest as _, Sm3};

use crate::{auditing::hex, keys::write_private};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proven<T> {
    /// SM3 of the content as JSON without blanks.
    sm3: String,
    content: T,
}

/// Writes a file that its owner alone can read, whole or not at all.
pub(super) fn write<T: Serialize>(path: &Path, content: &T) -> anyhow::Result<()> {
    let proven = Proven {
        sm3: digest(content)?,
        content,
    };
    let text = serde_json::to_vec_pretty(&proven).context("write what a backup holds")?;
    write_private(path, &text)
}

/// What stands in such a file.
pub(super) fn read<T: Serialize + DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let read: Option<Proven<T>> = serde_json::from_slice(&text).ok();
    let sound = read.filter(|read| digest(&read.content).is_ok_and(|found| found == read.sm3));
    let proven = sound.with_context(|| damaged(path))?;
    Ok(proven.content)
}

/// What is said of a file that is not as it was written.
pub(super) fn damaged(path: &Path) -> String {
    format!(
        "{} is damaged, or no file of a backup / {} 已损坏，或不是备份文件",
        path.display(),
        path.display()
    )
}

fn digest(content: &impl Serialize) -> anyhow::Result<String> {
    let text = serde_json::to_vec(content).context("write what a backup holds")?;
    Ok(hex(&Sm3::digest(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.json");
        let content = vec!["one".to_owned(), "二".to_owned()];
        write(&path, &content).unwrap();
        assert_eq!(read::<Vec<String>>(&path).unwrap(), content);
        let written = fs::read_to_string(&path).unwrap();
        for (from, to) in [("one", "two"), ("sm3\": \"", "sm3\": \"0"), ("]", "")] {
            let changed = written.replacen(from, to, 1);
            assert_ne!(changed, written);
            fs::write(&path, changed).unwrap();
            let refused = read::<Vec<String>>(&path).unwrap_err().to_string();
            assert!(refused.contains("some.json is damaged"), "{refused}");
        }
    }
}
