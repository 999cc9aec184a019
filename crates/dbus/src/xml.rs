//! What objects say of themselves (D-Bus specification, "Introspection Data Format").

use crate::tree::Tree;
use crate::{INSTANCE, VRRP};
use std::collections::BTreeSet;
use std::fmt::Write;

const HEAD: &str = "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n \
                    \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n";

/// Of every object.
const STANDARD: &str = r#" <interface name="org.freedesktop.DBus.Properties">
  <method name="Get">
   <arg type="s" name="interface_name" direction="in"/>
   <arg type="s" name="property_name" direction="in"/>
   <arg type="v" name="value" direction="out"/>
  </method>
  <method name="GetAll">
   <arg type="s" name="interface_name" direction="in"/>
   <arg type="a{sv}" name="properties" direction="out"/>
  </method>
  <method name="Set">
   <arg type="s" name="interface_name" direction="in"/>
   <arg type="s" name="property_name" direction="in"/>
   <arg type="v" name="value" direction="in"/>
  </method>
  <signal name="PropertiesChanged">
   <arg type="s" name="interface_name"/>
   <arg type="a{sv}" name="changed_properties"/>
   <arg type="as" name="invalidated_properties"/>
  </signal>
 </interface>
 <interface name="org.freedesktop.DBus.Introspectable">
  <method name="Introspect">
   <arg type="s" name="xml_data" direction="out"/>
  </method>
 </interface>
 <interface name="org.freedesktop.DBus.Peer">
  <method name="Ping"/>
  <method name="GetMachineId">
   <arg type="s" name="machine_uuid" direction="out"/>
  </method>
 </interface>
"#;

/// The interface of instances, as packaging/dbus has it, too.
const OF_INSTANCE: &str = r#" <interface name="org.keepalived.Vrrp1.Instance">
  <method name="SendGarp"/>
  <signal name="VrrpStatusChange">
   <arg type="u" name="status"/>
  </signal>
  <property type="s" name="Name" access="read"/>
  <property type="(us)" name="State" access="read"/>
 </interface>
"#;

/// That of the daemon.
const OF_VRRP: &str = r#" <interface name="org.keepalived.Vrrp1.Vrrp">
  <method name="PrintData"/>
  <method name="PrintStats"/>
  <method name="PrintStatsClear"/>
  <method name="ReloadConfig"/>
  <signal name="VrrpStarted"/>
  <signal name="VrrpReloaded"/>
  <signal name="VrrpStopped"/>
 </interface>
"#;

/// The text for a path; `own`: the interface of the object that is there.
pub(crate) fn introspect(tree: &Tree, path: &str, own: Option<&str>) -> String {
    let mut text = format!("{HEAD}<node>\n");
    if own.is_some() {
        text.push_str(STANDARD);
    }
    match own {
        Some(INSTANCE) => text.push_str(OF_INSTANCE),
        Some(VRRP) => text.push_str(OF_VRRP),
        _ => {}
    }
    let prefix = if path == "/" { String::from("/") } else { format!("{path}/") };
    let below = tree.paths().filter_map(|p| Some(p.strip_prefix(&prefix)?.split('/').next()?.to_string()));
    for name in below.collect::<BTreeSet<_>>() {
        // Names are letters, digits and `_`. Writing to a string cannot fail.
        let _ = writeln!(text, " <node name=\"{name}\"/>");
    }
    text.push_str("</node>\n");
    text
}
