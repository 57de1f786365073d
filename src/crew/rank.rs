//! What the system is told of a thread: that it goes before all others, or that it does not.

use std::io;

use thread_priority::{
    Error, NormalThreadSchedulePolicy, RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityOsValue,
    ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id, thread_schedule_policy,
};

/// The rank of a thread that callers wait for: as others, or before them (`[threads] realtime`). A system that refuses is told
/// of, and how to have it allow it.
pub(super) fn take_rank(realtime: bool) {
    if realtime && let Err(error) = before_others() {
        tracing::warn!(
            %error,
            "`[threads] realtime`: the system refuses it, so this thread runs as others do; \
             allow it with CAP_SYS_NICE or a limit (systemd: LimitRTPRIO=1)"
        );
    }
}

/// This thread runs before everything that has no such rank (`SCHED_RR` 1, sched(7)).
///
/// # Errors
/// When the system does not allow it: it wants `CAP_SYS_NICE` or an `RLIMIT_RTPRIO` of at least 1.
pub(super) fn before_others() -> io::Result<()> {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy).map_err(|error| match error {
        Error::OS(code) => io::Error::from_raw_os_error(code),
        other => io::Error::other(other),
    })
}

/// This thread runs as others do, whatever the thread was that started it.
pub fn as_others() {
    if runs_before_others() {
        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
        let neither_nice_nor_not = ThreadPriority::Os(ThreadPriorityOsValue::default());
        // Nobody is refused a lower rank.
        let _ = set_thread_priority_and_policy(thread_native_id(), neither_nice_nor_not, policy);
    }
}

/// True on a thread that does.
pub(super) fn runs_before_others() -> bool {
    matches!(thread_schedule_policy(), Ok(ThreadSchedulePolicy::Realtime(_)))
}
