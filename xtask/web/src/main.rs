//! Builds the browser client into `www/pkg`.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    xtask_web::build().await.map(drop)
}
