//! Kinds of events, for who reads journald's entries by `MESSAGE_ID` (with `log_structured`). An id never changes its meaning.

/// A VRRP instance entered a state: INSTANCE, VRID, OLD_STATE, NEW_STATE, REASON.
pub const INSTANCE_STATE: &str = "47eaa0992cb6416d86dc283cf0480ff9";
/// A real server went up or down: VIRTUAL_SERVER, REAL_SERVER, NEW_STATE.
pub const SERVER_STATE: &str = "1509bb0a9bf143318a118783593942a4";
/// A virtual server gained or lost its quorum: VIRTUAL_SERVER, NEW_STATE.
pub const SERVICE_STATE: &str = "f5ec52ed0108447592e1bc7656670b14";
/// A BFD session is up for those that depend on it, or is not: BFD_INSTANCE, NEW_STATE.
pub const SESSION_STATE: &str = "0e6fa609be944e788b62f0e01c5dcc06";
/// A child process died and is started again: CHILD, CHILD_PID, REASON.
pub const CHILD_DIED: &str = "59ba1b0d5c904158a909406c2e416788";
/// A child process did not beat and is ended: CHILD, CHILD_PID, REASON says where it hung.
pub const CHILD_SILENT: &str = "5d32fe61985f44e7aa095ee82bb29976";
/// The VRRP child died again and again; its addresses are withdrawn.
pub const WITHDRAWN: &str = "9a1e40b458154a9999e2d15364c7a500";
/// A new configuration is in effect.
pub const RELOADED: &str = "68b4aef73eaa4e179d8a4eace693ae2d";
/// A new configuration was not taken over: REASON.
pub const RELOAD_REFUSED: &str = "142c83647806457793e783e7eb04b39b";
/// A new program took over.
pub const UPGRADED: &str = "3b041641178844f2a60df25453fe2e85";
/// The daemon is up.
pub const STARTED: &str = "00a154d85ed84bccb5c719c2add9ca88";
/// The daemon stops.
pub const STOPPING: &str = "c0290103855d4f5599ec8712e8e3574f";
