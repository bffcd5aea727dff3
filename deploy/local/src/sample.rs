//! Where the sample county lies.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::county::County;

/// The county that is asked for, or the sample county.
///
/// # Errors
/// Where it can't be found or read.
pub fn county(asked: Option<&Path>) -> anyhow::Result<County> {
    let folder = match asked {
        Some(folder) => folder.to_owned(),
        None => candidates()
            .into_iter()
            .find(|folder| folder.join("set.json").is_file())
            .context(
                "the sample county was not found beside the program: name its folder with --county \
             / 未找到随附的样例县数据：请用 --county 指定目录",
            )?,
    };
    County::open(&folder).with_context(|| folder.display().to_string())
}

/// Beside the sources, or beside the program as it is installed.
fn candidates() -> Vec<PathBuf> {
    let mut candidates = vec![PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/data/anxi"
    ))];
    let program = std::env::current_exe().unwrap_or_default();
    candidates.extend(
        program
            .ancestors()
            .skip(1)
            .take(2)
            .map(|folder| folder.join("share/eldercare/anxi")),
    );
    candidates
}
