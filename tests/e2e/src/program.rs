//! The real `kubectl` and `helm`, where their own logic is what a case is about.

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// Runs `kubectl` from the PATH and returns its standard output.
pub async fn kubectl(args: &[&str]) -> Result<String> {
    run("kubectl", args).await
}

/// Runs `helm` from the PATH and returns its standard output.
pub async fn helm(args: &[&str]) -> Result<String> {
    run("helm", args).await
}

async fn run(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .output()
        .await
        .with_context(|| format!("start {program}: it has to be on the PATH"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} {}: {}: {}",
        args.join(" "),
        output.status,
        stderr.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
