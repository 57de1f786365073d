//! Is a load to be believed? A truncated export and an emptied table look like good answers.

use crate::policy::TablePolicy;
use crate::upstream::table::loader::NotLoaded;

/// A table may always grow by this many rows: a short list doubles in a day's work.
const FREE_GROWTH: usize = 100;

/// A table may always lose this many rows, down to the least that the policy asks for.
const FREE_LOSS: usize = 1;

/// Refuses a load that has fewer rows than the policy asks for, or far more or fewer than the one before.
///
/// # Errors
/// [`NotLoaded::TooFew`] or [`NotLoaded::Changed`].
pub(super) fn check(policy: &TablePolicy, before: Option<usize>, rows: usize) -> Result<(), NotLoaded> {
    if rows < policy.min_rows {
        return Err(NotLoaded::TooFew { rows, least: policy.min_rows });
    }
    let Some(before) = before.filter(|_| policy.max_change < 1.0) else { return Ok(()) };
    let free = if rows > before { FREE_GROWTH } else { FREE_LOSS };
    let change = rows.abs_diff(before);
    // Counts of rows are far below what an f64 holds exactly.
    if change > free && change as f64 > before as f64 * policy.max_change {
        return Err(NotLoaded::Changed { before, rows });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{LineForm, TableMatch, TableSource};

    fn policy(max_change: f64, min_rows: usize) -> TablePolicy {
        let source = TableSource::File {
            path: "x.csv".into(),
            form: LineForm::Separator(b','),
            header: true,
            columns: Vec::new(),
        };
        TablePolicy {
            source,
            matching: TableMatch::Exact,
            key_columns: Vec::new(),
            keys: Vec::new(),
            every: None,
            load_timeout: std::time::Duration::ZERO,
            max_change,
            min_rows,
            max_rows: 0,
            origin: 0,
            content: 0,
        }
    }

    #[test]
    fn what_changes_too_much_is_not_believed() {
        let believed = |before, rows| check(&policy(0.2, 1), before, rows).is_ok();
        assert!(believed(None, 1) && believed(None, 1_000_000));
        assert!(believed(Some(1000), 1200) && believed(Some(1000), 800));
        assert!(!believed(Some(1000), 1201) && !believed(Some(1000), 799));
        assert!(!believed(Some(1000), 0) && !believed(None, 0));
    }

    #[test]
    fn a_short_list_may_grow_and_lose_a_row() {
        let believed = |before, rows| check(&policy(0.2, 1), Some(before), rows).is_ok();
        assert!(believed(3, 4) && believed(3, 2) && believed(2, 50));
        assert!(!believed(10, 2) && !believed(1, 0));
    }

    #[test]
    fn the_policy_decides_how_strict() {
        assert!(check(&policy(1.0, 1), Some(10), 9_999).is_ok());
        assert!(check(&policy(1.0, 0), Some(10), 0).is_ok());
        assert!(check(&policy(0.2, 500), None, 499).is_err());
    }
}
