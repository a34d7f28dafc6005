//! The real `kubectl`, where its own logic is what a case is about.

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// Runs `kubectl` (or the program in `KUBECTL`) and returns its standard output.
pub async fn kubectl(args: &[&str]) -> Result<String> {
    let program = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
    let output = Command::new(&program)
        .args(args)
        .output()
        .await
        .with_context(|| format!("start {program}: install kubectl or set KUBECTL to its path"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "kubectl {}: {}: {}",
        args.join(" "),
        output.status,
        stderr.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
