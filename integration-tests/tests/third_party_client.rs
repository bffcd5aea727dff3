//! A program in another language, written against nothing but reflection, works with the system.

use std::{
    env,
    path::{Path, PathBuf},
};

use integration_tests::{System, county, day, elders::VILLAGE, id_number, officer};
use tokio::process::Command;

/// The folder with the pinned packages of the Python package index, installed once for these pins.
async fn packages() -> PathBuf {
    let pins = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/requirements.txt");
    let target = env::current_exe()
        .unwrap()
        .ancestors()
        .nth(3)
        .unwrap()
        .join("python");
    let (kept, installed) = (target.join("packages"), target.join("installed.txt"));
    let wanted = std::fs::read_to_string(&pins).unwrap();
    if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return kept;
    }
    // Beside the place, so that an install that broke off leaves nothing half done.
    std::fs::create_dir_all(&target).unwrap();
    let aside = tempfile::tempdir_in(&target).unwrap();
    let output = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--root-user-action=ignore",
        ])
        .args(["--only-binary=:all:", "--no-deps", "--target"])
        .arg(aside.path())
        .arg("--requirement")
        .arg(&pins)
        .output()
        .await
        .expect("python3 with pip is needed for the third-party client");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let _ = std::fs::remove_dir_all(&kept);
    std::fs::rename(aside.keep(), &kept).unwrap();
    std::fs::write(installed, wanted).unwrap();
    kept
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_client_by_reflection_registers_imports_queries_and_reads_refusals() {
    let (system, packages) = tokio::join!(System::start(), packages());
    let output = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/third_party_client.py"))
        .env("PYTHONPATH", packages)
        .env("PYTHONIOENCODING", "utf-8")
        .env("ELDERCARE_ADDRESS", system.address())
        .env("ELDERCARE_TOKEN", system.token(&officer()))
        .env("ELDERCARE_ID_NUMBER", id_number(day("1949-10-01"), 24))
        .env("ELDERCARE_VILLAGE", VILLAGE)
        .env("ELDERCARE_TOWN", "350524201")
        .env(
            "ELDERCARE_WORKBOOK",
            county::folder().join("survey/350524201-白濑乡.xlsx"),
        )
        .output()
        .await
        .unwrap();
    let (told, failed) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{told}\n{failed}");
    assert_eq!(told.lines().last(), Some("done"), "{told}");
    assert_eq!(told.lines().count(), 19, "every check was made:\n{told}");
}
