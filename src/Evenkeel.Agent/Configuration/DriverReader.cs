using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>Reads what runs a service where that is no plain process.</summary>
internal static class DriverReader
{
    public static OcfDriverSpec? ReadOcf(Reading service)
    {
        if (service.Inner("ocf") is not { } ocf || ocf.Text("agent") is not { } agent)
            return null;
        var standard = new OcfDriverSpec { Agent = agent };
        return standard with
        {
            Agent = agent.StartsWith("ocf:", StringComparison.Ordinal) ? agent["ocf:".Length..] : agent,
            Parameters = ocf.TextMap("parameters"),
            Port = service.Integer("port"),
            MonitorEvery = ocf.Time("monitor") ?? standard.MonitorEvery,
            MonitorTimeout = ocf.Time("monitor_timeout") ?? standard.MonitorTimeout,
            StartTimeout = ocf.Time("start_timeout") ?? standard.StartTimeout,
            StopTimeout = ocf.Time("stop_timeout") ?? standard.StopTimeout,
            PromoteTimeout = ocf.Time("promote_timeout") ?? standard.PromoteTimeout,
            NodesByAddress = ocf.Text("nodes_by") == "address",
        };
    }

    public static SystemdDriverSpec? ReadSystemd(Reading service)
    {
        if (service.Inner("systemd") is not { } systemd || systemd.Text("unit") is not { } unit)
            return null;
        var standard = new SystemdDriverSpec { Unit = unit };
        return standard with
        {
            Port = service.Integer("port"),
            StartTimeout = systemd.Time("start_timeout") ?? standard.StartTimeout,
            StopTimeout = systemd.Time("stop_timeout") ?? standard.StopTimeout,
        };
    }
}
