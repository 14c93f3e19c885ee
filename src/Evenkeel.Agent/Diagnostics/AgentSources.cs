using Evenkeel.Agent.Control;
using Evenkeel.Agent.Local;

namespace Evenkeel.Agent.Diagnostics;

/// <summary>What a node's own agent says, over its control socket.</summary>
internal static class AgentSources
{
    private static readonly (string Name, string Route)[] questions =
    [
        ("agent/hello.json", ControlRoutes.Hello),
        ("agent/status.json", ControlRoutes.Status),
        ("agent/events.jsonl", ControlRoutes.Events + "?after=0&limit=2000"),
        ("agent/alerts.json", ControlRoutes.Alerts),
        ("agent/metrics.txt", ControlRoutes.Metrics),
    ];

    public static IEnumerable<Source> Of(string socket) => questions.Select(one =>
        new Source(one.Name, async cancellation => await ControlCalls.TextAsync(socket, one.Route, cancellation).ConfigureAwait(false)));
}
