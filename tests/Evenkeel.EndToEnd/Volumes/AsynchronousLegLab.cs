using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.EndToEnd.Volumes;

/// <summary>The volumes' lab with the leg of n2 written after the answer, and a service that accepts to lose what it may lack.</summary>
public sealed class AsynchronousLegLab : VolumeLab
{
    private const int LegPort = 7850;
    public const long Backlog = 16 << 20;
    public static readonly NodeName Main = new("n1"), Behind = new("n2");

    protected override string MoreKeys => $", port: {LegPort}, asynchronous: [n2], backlog: {Backlog >> 20}MiB, accept_loss: true";
    protected override string Objectives => "rpo: 60s";

    /// <summary>The legs' line alone takes no more than this from n1; heartbeats and the store go on.</summary>
    internal Task SlowLineAsync(int kilobytesPerSecond) => RuleAsync($"limit rate over {kilobytesPerSecond} kbytes/second burst 64 kbytes drop");

    /// <summary>Nothing of the legs' line gets there, and nobody is told.</summary>
    internal Task CutLineAsync() => RuleAsync("drop");

    internal Task HealLineAsync() => NftAsync("add table inet slow; delete table inet slow");

    internal Task UntilLegAsync(params LegState[] states) => UntilAsync(volume => states.Contains(volume.Legs.Single(leg => leg.Node == Behind).State));

    /// <summary>The leg does not have what clients were answered, and says how much.</summary>
    internal Task UntilItLacksAsync() => UntilAsync(volume => volume.Detail.Contains($"{Behind} lacks", StringComparison.Ordinal));

    protected override async Task UndoAsync()
    {
        await HealLineAsync();
        await base.UndoAsync();
    }

    /// <summary>Whole, with the writer on n1 and the leg of n2 behind it by no more than its backlog.</summary>
    internal async Task BeginAsync()
    {
        await RestoreAsync();
        if (await WriterAsync() != Main && await Cluster.MoveAsync(ResourceId.Service("ledger"), Main, Deadline()) is { } refusal) throw new InvalidOperationException(refusal);
        for (var deadline = Deadline(); await ServingAsync() != Main;) await Task.Delay(50, deadline);
        await UntilLegAsync(LegState.Following);
    }

    private Task RuleAsync(string verdict) => NftAsync(
        $"add table inet slow; delete table inet slow; table inet slow {{ chain out {{ type filter hook output priority 0; policy accept; tcp dport {LegPort} {verdict}; }}; }}");

    private Task NftAsync(string rules) => Raid.Tool.RunAsync("ip", "netns", "exec", Cluster.Network.Namespace(Main.Value), "nft", rules);
}
