using Evenkeel.Core.Model;
using Evenkeel.Services.Fencing;

namespace Evenkeel.Agent.Preflight.Checks;

/// <summary>The other nodes' fence devices answer when this node asks them (the agents' <c>monitor</c>, which switches nothing).</summary>
internal sealed class FencingCheck(PreflightSubject subject) : PreflightCheck("fencing", subject)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(25);

    public override async Task<IReadOnlyList<PreflightFinding>> LookAsync(CancellationToken cancellation)
    {
        var found = await Task.WhenAll(Subject.Others.Where(node => node.Fence is not null).Select(node => OfAsync(node, cancellation))).ConfigureAwait(false);
        var without = Subject.Others.Where(node => node is { Fence: null, Role: NodeRole.Full }).Select(node => node.Name.Value).ToList();
        return [.. found, .. without.Count == 0 ? Array.Empty<PreflightFinding>()
            : [Note($"no fence device for {string.Join(", ", without)}: a node that is lost is outwaited, not cut off", "Where a service keeps data that others may write too (a shared disk): nodes.NAME.fence")]];
    }

    private async Task<PreflightFinding> OfAsync(NodeSpec node, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Patience);
        var mend = $"Address, account and cable of the device; try it by hand: {node.Fence!.Agent} -o monitor …";
        try
        {
            var problems = await new FenceDevice(node.Name.Value, node.Fence).MonitorAsync(limit.Token).ConfigureAwait(false);
            return problems.Count > 0 ? Failed($"{node.Name} could not be cut off from here: {string.Join("; ", problems).ReplaceLineEndings(" ")}", mend)
                : Passed($"{node.Name}'s fence device answers ({node.Fence.Agent})");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return Failed($"{node.Name}'s fence device ({node.Fence.Agent}) has not answered for {Patience.TotalSeconds:0} s", mend);
        }
    }
}
