//! Sharing as a process of its own.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::run::<sharing::App>().await
}
