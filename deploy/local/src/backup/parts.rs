//! The files of a backup: written once, for their owner alone, and known by their digests.

use std::{
    fs::File,
    io::{self, BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sm3::{Digest as _, Sm3};

use super::proven::damaged;
use crate::auditing::{create, hex};

/// Bytes that are looked at in one go.
const PIECE: usize = 1 << 20;

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// Its name.
    pub(super) file: String,
    /// How large it is.
    pub(super) bytes: u64,
    /// The digest of all of it.
    pub(super) sm3: String,
}

/// A file that is being written.
pub(super) struct NewPart {
    path: PathBuf,
    out: BufWriter<File>,
    digest: Sm3,
    bytes: u64,
}

impl NewPart {
    pub(super) fn create(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let path = folder.join(name);
        let out = create(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self {
            path,
            out,
            digest: Sm3::new(),
            bytes: 0,
        })
    }

    pub(super) fn write(&mut self, piece: &[u8]) -> anyhow::Result<()> {
        self.digest.update(piece);
        self.bytes += piece.len() as u64;
        let written = self.out.write_all(piece);
        written.with_context(|| format!("write {}", self.path.display()))
    }

    /// How many bytes are written.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns once it is on the disk.
    pub(super) fn finish(self) -> anyhow::Result<Part> {
        let out = self
            .out
            .into_inner()
            .map_err(io::IntoInnerError::into_error);
        out.and_then(|out| out.sync_all())
            .with_context(|| format!("write {}", self.path.display()))?;
        let file = self.path.file_name().unwrap_or_default();
        Ok(Part {
            file: file.to_string_lossy().into_owned(),
            bytes: self.bytes,
            sm3: hex(&self.digest.finalize()),
        })
    }
}

impl Part {
    /// Opens the file, to be read from its beginning.
    pub(super) fn open(&self, folder: &Path) -> anyhow::Result<File> {
        let path = self.path(folder)?;
        File::open(&path).with_context(|| format!("read {}", path.display()))
    }

    /// Whether all of the file is as it was written; `tell` hears of so many bytes more.
    pub(super) fn verify(&self, folder: &Path, tell: impl Fn(u64)) -> anyhow::Result<()> {
        let path = self.path(folder)?;
        let mut file = self.open(folder)?;
        let (mut digest, mut bytes) = (Sm3::new(), 0);
        let mut piece = vec![0; PIECE];
        loop {
            let read = file.read(&mut piece);
            let length = read.with_context(|| format!("read {}", path.display()))?;
            if length == 0 {
                break;
            }
            digest.update(&piece[..length]);
            bytes += length as u64;
            tell(length as u64);
        }
        if bytes != self.bytes || hex(&digest.finalize()) != self.sm3 {
            anyhow::bail!(damaged(&path));
        }
        Ok(())
    }

    /// Where it lies: in the folder itself, whatever its name says.
    fn path(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let name = Path::new(&self.file).file_name();
        let plain = name.filter(|name| *name == self.file.as_str());
        let plain = plain.with_context(|| damaged(folder))?;
        Ok(folder.join(plain))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn written(folder: &Path) -> Part {
        let mut part = NewPart::create(folder, "REGISTRY.snapshot").unwrap();
        part.write(b"one ").unwrap();
        part.write(b"two").unwrap();
        assert_eq!(part.bytes(), 7);
        part.finish().unwrap()
    }

    #[test]
    fn a_file_is_its_owners_alone_and_known_by_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let part = written(folder.path());
        let path = folder.path().join("REGISTRY.snapshot");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        part.verify(folder.path(), |_| {}).unwrap();
        for damage in [&b"one twp"[..], b"one tw", b"one two "] {
            fs::write(&path, damage).unwrap();
            let refused = part.verify(folder.path(), |_| {}).unwrap_err();
            assert!(refused.to_string().contains("damaged"), "{refused}");
        }
        fs::remove_file(&path).unwrap();
        assert!(part.verify(folder.path(), |_| {}).is_err());
    }

    #[test]
    fn nothing_outside_the_folder_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["../keys.toml", "/etc/passwd", "", ".."] {
            let part = Part {
                file: file.to_owned(),
                ..written(folder.path())
            };
            assert!(part.open(folder.path()).is_err(), "{file}");
        }
    }
}
