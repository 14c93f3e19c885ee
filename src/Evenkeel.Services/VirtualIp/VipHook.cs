using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using Evenkeel.Core.Model;
using Evenkeel.Services.Process;

namespace Evenkeel.Services.VirtualIp;

public enum HookAction
{
    /// <summary>The address is here: the network shall send to this node what is for it. Called again and again.</summary>
    Take,
    /// <summary>The address is no longer here.</summary>
    Release,
}

/// <param name="NodeAddress">The node's own public address in the address's family; null when it has none.</param>
/// <param name="Interface">The interface that carries the address.</param>
public sealed record HookCall(HookAction Action, string Cluster, NodeName Node, string? NodeAddress, string Interface, VipSpec Vip, Epoch Epoch);

/// <summary>Runs a virtual IP's hook; <c>docs/virtual-ip-hooks.md</c> is the contract.</summary>
public static class VipHook
{
    /// <summary>Null when it ended with 0, else what is wrong in words.</summary>
    /// <exception cref="OperationCanceledException">Cancelled; the program and all that it started have been killed.</exception>
    public static async Task<string?> RunAsync(HookCall call, CancellationToken cancellation)
    {
        var hook = call.Vip.Hook ?? throw new ArgumentException("it has no hook", nameof(call));
        var word = call.Action == HookAction.Take ? "take" : "release";
        var start = new ProcessStartInfo(hook.Command[0], hook.Command.Skip(1).Append(word)) { WorkingDirectory = "/" };
        foreach (var (name, text) in Variables(call, word))
        {
            start.Environment[name] = text;
        }

        try
        {
            var end = await ChildRun.RunAsync(start, hook.TimeLimit, cancellation).ConfigureAwait(false);
            return end.ExitCode switch
            {
                0 => null,
                null => string.Create(CultureInfo.InvariantCulture, $"'{hook.Command[0]} {word}' had not ended after {hook.TimeLimit.TotalSeconds:0.#} s and was killed"),
                { } code => $"'{hook.Command[0]} {word}' ended with {code}: {Short(end.Errors + end.Output)}",
            };
        }
        catch (Win32Exception failure)
        {
            return $"'{hook.Command[0]}' could not be started: {failure.Message}";
        }
    }

    private static Dictionary<string, string> Variables(HookCall call, string word) => new()
    {
        ["EVENKEEL_ACTION"] = word,
        ["EVENKEEL_CLUSTER"] = call.Cluster,
        ["EVENKEEL_NODE"] = call.Node.Value,
        ["EVENKEEL_NODE_ADDRESS"] = call.NodeAddress ?? "",
        ["EVENKEEL_INTERFACE"] = call.Interface,
        ["EVENKEEL_VIP"] = call.Vip.Name,
        ["EVENKEEL_ADDRESS"] = call.Vip.Address.ToString(),
        ["EVENKEEL_PREFIX_LENGTH"] = call.Vip.PrefixLength.ToString(CultureInfo.InvariantCulture),
        ["EVENKEEL_INCARNATION"] = call.Epoch.Incarnation.ToString(CultureInfo.InvariantCulture),
        ["EVENKEEL_EPOCH"] = call.Epoch.Number.ToString(CultureInfo.InvariantCulture),
    };

    private static string Short(string said)
    {
        var line = said.ReplaceLineEndings(" ").Trim();
        return line[..Math.Min(line.Length, 200)];
    }
}
