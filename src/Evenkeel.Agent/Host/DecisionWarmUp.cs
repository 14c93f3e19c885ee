using System.Diagnostics;
using System.Globalization;
using Evenkeel.Core.Loop;

namespace Evenkeel.Agent.Host;

/// <summary>Plays the <see cref="Rehearsal"/> once, on a thread of its own, while the agent starts.</summary>
internal static class DecisionWarmUp
{
    /// <summary>That it failed is told, and stops nothing.</summary>
    public static Task RunAsync(Action<string> log) => Task.Factory.StartNew(() =>
    {
        var began = Stopwatch.GetTimestamp();
        try
        {
            Rehearsal.Play();
            log(string.Create(CultureInfo.InvariantCulture, $"decisions are rehearsed: that took {Stopwatch.GetElapsedTime(began).TotalMilliseconds:0} ms"));
        }
#pragma warning disable CA1031 // Whatever it is: nothing depends on it.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            log($"decisions could not be rehearsed: {exception.Message}");
        }
    }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}
