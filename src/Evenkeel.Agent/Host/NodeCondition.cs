using System.Globalization;
using Evenkeel.Core.Loop;

namespace Evenkeel.Agent.Host;

/// <summary>Watches what of the node itself decides whether it can serve: the public interface's carrier, load, bound listeners.</summary>
internal sealed class NodeCondition(string? publicInterface, Func<bool> listenersReady, Action<AgentEvent> post)
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(50);

    public async Task RunAsync(CancellationToken cancellation)
    {
        NodeConditionChanged? last = null;
        using var timer = new PeriodicTimer(Period);
        try
        {
            do
            {
                // The load changes all the time and decides nothing yet: one decimal is enough for status.
                var condition = new NodeConditionChanged(
                    PublicUp(), Math.Round(ReadLoad() / Environment.ProcessorCount, 1), listenersReady());
                if (condition != last)
                {
                    post(condition);
                    last = condition;
                }
            }
            while (await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            // The agent stops.
        }
    }

    /// <summary>Carrier as the kernel sees it; reading it fails while the interface is administratively down.</summary>
    private bool PublicUp()
    {
        if (publicInterface is null)
        {
            return true;
        }

        try
        {
            return File.ReadAllText($"/sys/class/net/{publicInterface}/carrier").AsSpan().Trim() is "1";
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static double ReadLoad()
    {
        try
        {
            return double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return 0;
        }
    }
}
