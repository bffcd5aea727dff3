//! A program in another language, written against nothing but reflection, works with the system.

use std::path::Path;

use backing_services::testing;
use integration_tests::{System, county, day, elders::VILLAGE, id_number, officer, process::Part};
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_client_by_reflection_registers_imports_queries_and_reads_refusals() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let pins = python.join("requirements.txt");
    let packages = testing::python_packages("integration-tests", &pins);
    let (system, packages) = tokio::join!(System::start(), packages);
    let output = Command::new("python3")
        .arg(python.join("third_party_client.py"))
        .env("PYTHONPATH", packages)
        .env("PYTHONIOENCODING", "utf-8")
        .env("ELDERCARE_ADDRESS", system.address_of(Part::Elders))
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
