using Evenkeel.Core.Model;

namespace Evenkeel.Services.Fencing;

/// <summary>
/// What can cut one node off: its fence agents, level after level. Nothing counts but a device's own later answer that the node
/// is off: an <c>off</c> that says it succeeded may have met the wrong plug. Calls may be repeated and may overlap.
/// </summary>
/// <param name="node">The node that it cuts off; never the one that runs this.</param>
/// <param name="spec">The first level, with the others behind it.</param>
public sealed class FenceDevice(string node, FenceSpec spec)
{
    private readonly IReadOnlyList<FenceSpec> _levels = [spec, .. spec.Then];

    /// <summary>Cuts the node off. The first level that confirms ends it; every level that fails is in the reason.</summary>
    /// <exception cref="OperationCanceledException">Nothing is known then.</exception>
    public async Task<FenceResult> OffAsync(CancellationToken cancellation)
    {
        var failures = new List<string>();
        foreach (var level in _levels)
        {
            await Task.Delay(level.Delay, cancellation).ConfigureAwait(false);
            if (await CutAsync(level, cancellation).ConfigureAwait(false) is not { } failure)
            {
                return new FenceResult(true, $"{level.Agent} says that {node} is off");
            }

            failures.Add($"{level.Agent}: {failure}");
        }

        return new FenceResult(false, $"{node} is not surely off: {string.Join("; ", failures)}");
    }

    /// <summary>Gives the node back its power or its access (unfencing): by every level, for each may have taken it.</summary>
    public async Task<FenceResult> OnAsync(CancellationToken cancellation)
    {
        var failures = new List<string>();
        foreach (var level in _levels)
        {
            var answer = await new FenceAgent(level, node).RunAsync("on", cancellation).ConfigureAwait(false);
            if (!answer.Succeeded)
            {
                failures.Add($"{level.Agent}: on: {answer.Reason}");
            }
        }

        return new FenceResult(failures.Count < _levels.Count, failures.Count == 0 ? $"{node} was switched on" : string.Join("; ", failures));
    }

    /// <summary>Whether the node is off, by the first level that knows; null when none does.</summary>
    public async Task<bool?> IsOffAsync(CancellationToken cancellation)
    {
        foreach (var level in _levels)
        {
            var answer = await new FenceAgent(level, node).RunAsync("status", cancellation).ConfigureAwait(false);
            if (answer.Succeeded || answer.SaysOff)
            {
                return answer.SaysOff;
            }
        }

        return null;
    }

    /// <summary>Asks every level whether it could act now.</summary>
    /// <returns>What does not answer, in words; empty is best.</returns>
    public async Task<IReadOnlyList<string>> MonitorAsync(CancellationToken cancellation)
    {
        var problems = new List<string>();
        foreach (var level in _levels)
        {
            var answer = await new FenceAgent(level, node).RunAsync("monitor", cancellation).ConfigureAwait(false);
            if (!answer.Succeeded)
            {
                problems.Add($"{level.Agent} for {node}: {answer.Reason}");
            }
        }

        return problems;
    }

    /// <summary>Asks again and again, as often as the spec says, and tells what it found whenever that changes.</summary>
    public async Task WatchAsync(Action<IReadOnlyList<string>> tell, CancellationToken stop)
    {
        IReadOnlyList<string>? last = null;
        using var timer = new PeriodicTimer(_levels.Min(level => level.MonitorEvery));
        try
        {
            do
            {
                var now = await MonitorAsync(stop).ConfigureAwait(false);
                if (last is null || !now.SequenceEqual(last))
                {
                    tell(last = now);
                }
            }
            while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            // No longer asked for.
        }
    }

    /// <returns>Null once it is confirmed.</returns>
    private async Task<string?> CutAsync(FenceSpec level, CancellationToken cancellation)
    {
        var agent = new FenceAgent(level, node);
        var off = await agent.RunAsync("off", cancellation).ConfigureAwait(false);
        if (!off.Succeeded)
        {
            return $"off: {off.Reason}";
        }

        var status = await agent.RunAsync("status", cancellation).ConfigureAwait(false);
        return status.SaysOff ? null : status.Succeeded ? "off succeeded, but status says that it is on" : $"off succeeded, but status: {status.Reason}";
    }
}
