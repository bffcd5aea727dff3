//! `sharing credential`: what a department shows to the NATS server, issued into a file of its own, or taken away.

use std::{
    fmt,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use proto::eldercare::sharing::v1::{IssueFeedCredentialRequest, RevokeFeedCredentialRequest};
use serde::Serialize;
use tempfile::NamedTempFile;
use uuid::Uuid;

use crate::{
    client::{Client, call},
    output::{Report, table},
};

/// Instead of a file: standard output.
const PRINTED: &str = "-";

/// A credential that was issued.
#[derive(Clone, Serialize)]
pub struct Issued {
    /// The department.
    pub department: String,
    /// The user of the NATS server.
    pub user: String,
    /// Its password; none where it stands in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The prefix of the user's inboxes.
    pub inbox_prefix: String,
    /// The consumer of `FEEDS`.
    pub consumer: String,
    /// Where it stands in the log.
    pub position: String,
    /// The file with all of it; none where it was to be printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// Without the password.
impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("department", &self.department)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// A credential that was taken away.
#[derive(Debug, Serialize)]
pub struct Revoked {
    /// The department.
    pub department: String,
    /// Where that stands in the log.
    pub position: String,
}

/// Issues a department a credential, into a file that its owner alone can read; `-` leaves it in what is printed.
///
/// # Errors
/// Sharing's refusal, or a file that can't be written. Whether it can be made is tried before: the former credential is worth
/// nothing once another one is issued.
pub async fn issue(client: &Client, department: &str, file: &Path) -> anyhow::Result<Issued> {
    let printed = file.as_os_str() == PRINTED;
    let unfinished = if printed { None } else { Some(private(file)?) };
    let request = IssueFeedCredentialRequest {
        request_id: Uuid::now_v7().to_string(),
        department: department.to_owned(),
    };
    let answer = call(request, async |request| {
        client.sharing().issue_feed_credential(request).await
    })
    .await?;
    let issued = Issued {
        department: department.to_owned(),
        user: answer.user,
        password: Some(answer.password),
        inbox_prefix: answer.inbox_prefix,
        consumer: answer.consumer,
        position: answer.position,
        file: None,
    };
    let Some(unfinished) = unfinished else {
        return Ok(issued);
    };
    write(unfinished, file, &issued).with_context(|| {
        format!(
            "the credential is issued, and {} can't be written: issue it again / 凭证已签发但无法写入文件，请重新签发",
            file.display()
        )
    })?;
    Ok(Issued {
        password: None,
        file: Some(file.to_owned()),
        ..issued
    })
}

/// A file beside the one that is meant, which its owner alone can read; it goes unless it takes that one's place.
fn private(file: &Path) -> anyhow::Result<NamedTempFile> {
    let doing = || format!("write {}", file.display());
    if file.is_dir() {
        anyhow::bail!("{}: it is a folder / 是文件夹", doing());
    }
    let folder = file.parent();
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).with_context(doing)
}

fn write(mut unfinished: NamedTempFile, file: &Path, issued: &Issued) -> anyhow::Result<()> {
    let mut content = serde_json::to_vec_pretty(issued)?;
    content.push(b'\n');
    unfinished.write_all(&content)?;
    unfinished.as_file().sync_all()?;
    unfinished.persist(file).map_err(|failed| failed.error)?;
    Ok(())
}

/// Takes a department's credential away.
///
/// # Errors
/// Sharing's refusal.
pub async fn revoke(client: &Client, department: &str, reason: &str) -> anyhow::Result<Revoked> {
    let request = RevokeFeedCredentialRequest {
        request_id: Uuid::now_v7().to_string(),
        department: department.to_owned(),
        reason: reason.to_owned(),
    };
    let answer = call(request, async |request| {
        client.sharing().revoke_feed_credential(request).await
    })
    .await?;
    Ok(Revoked {
        department: department.to_owned(),
        position: answer.position,
    })
}

impl Report for Issued {
    fn text(&self) -> String {
        let mut rows = table(["数据流凭证 credential", self.department.as_str()]);
        rows.add_row(["用户 user", self.user.as_str()]);
        if let Some(password) = &self.password {
            rows.add_row(["密码 password", password.as_str()]);
        }
        rows.add_row(["收件前缀 inbox prefix", self.inbox_prefix.as_str()]);
        rows.add_row(["消费者 consumer", self.consumer.as_str()]);
        rows.add_row(["记录于 on record at", self.position.as_str()]);
        if let Some(file) = &self.file {
            rows.add_row(["已写入 wrote", &file.display().to_string()]);
        }
        rows.to_string()
    }
}

impl Report for Revoked {
    fn text(&self) -> String {
        format!(
            "{} 凭证已吊销 credential revoked, 记录于 on record at {}",
            self.department, self.position
        )
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn issued() -> Issued {
        Issued {
            department: "health".to_owned(),
            user: "department:health".to_owned(),
            password: Some("hidden".to_owned()),
            inbox_prefix: "_INBOX_department:health".to_owned(),
            consumer: "c".to_owned(),
            position: "SHARING:7".to_owned(),
            file: None,
        }
    }

    #[test]
    fn the_file_is_its_owners_alone_also_where_another_one_was_open_to_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("health.json");
        fs::write(&file, "former").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        write(private(&file).unwrap(), &file, &issued()).unwrap();
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let content: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!(content["password"], "hidden");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_known_before_anything_is_issued() {
        let folder = tempfile::tempdir().unwrap();
        assert!(private(folder.path()).is_err());
        assert!(private(&folder.path().join("missing/health.json")).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(!format!("{:?}", issued()).contains("hidden"));
    }
}
