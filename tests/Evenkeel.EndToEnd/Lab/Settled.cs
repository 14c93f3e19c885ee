using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>
/// Three nodes that start at once take all of a small machine for some seconds (their code is compiled), and what serves waits. What clients see
/// of a fault is measured after that.
/// </summary>
internal static class Settled
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(30);
    // Of one processor, all agents together.
    private const double Calm = 0.6;

    public static async Task UntilAsync(Func<IEnumerable<int>> agents)
    {
        for (var until = DateTime.UtcNow + patience; DateTime.UtcNow < until;)
        {
            var (before, began) = (Used(agents()), TimeProvider.System.GetTimestamp());
            await Task.Delay(1000, TestContext.Current.CancellationToken);
            if ((Used(agents()) - before) / TimeProvider.System.GetElapsedTime(began) < Calm) return;
        }
    }

    private static TimeSpan Used(IEnumerable<int> processes)
    {
        var sum = TimeSpan.Zero;
        foreach (var id in processes)
        {
            try
            {
                using var process = System.Diagnostics.Process.GetProcessById(id);
                sum += process.TotalProcessorTime;
            }
            catch (Exception gone) when (gone is ArgumentException or InvalidOperationException)
            {
                // It has ended.
            }
        }

        return sum;
    }
}
