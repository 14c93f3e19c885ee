using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Control;

/// <summary>An instance that could not be stopped, in words: what waits for it, and who must do what.</summary>
internal static class StuckInstance
{
    public static string What(string service, NodeName node, string detail, bool hasFenceDevice) =>
        $"{service} could not be stopped on {node}{(detail.Length == 0 ? "" : $" ({detail})")}: it starts nowhere else before {node} is cut off"
        + (hasFenceDevice ? "" : $", and {node} has no fence device: it is blocked and needs a human");

    public static string Do(NodeName node, bool hasFenceDevice) => hasFenceDevice
        ? $"{node} is being cut off: look again in some seconds; or end it by hand there"
        : $"End it by hand on {node}; or switch {node} off, make sure, then: evenkeel fence {node} --confirm";
}
