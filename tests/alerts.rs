//! Prometheus itself reads the alert rules.

use std::process::Command;

#[test]
fn promtool_accepts_the_alert_rules() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/config/alerts.yml");
    match Command::new("promtool").args(["check", "rules", rules]).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
        }
        Err(_) => println!("SKIPPED: no promtool on this machine (apt-get install prometheus)"),
    }
}
