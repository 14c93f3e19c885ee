using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Agent.Local;

namespace Evenkeel.Cli.Commands;

/// <summary><c>evenkeel probe</c>: measures from outside what clients see of a front door.</summary>
internal static class ProbeCommand
{
    private static readonly TimeSpan PrintEvery = TimeSpan.FromMilliseconds(100);

    public static Command Create()
    {
        var target = new Argument<string>("ADDRESS:PORT") { Description = "the front door: an IPv4 address and a port that answers HTTP" };
        var every = new Option<int>("--every-ms") { Description = "milliseconds between two requests, 1 to 60000", DefaultValueFactory = _ => 5 };
        var seconds = new Option<double>("--for") { Description = "seconds to probe; 0 probes until standard input ends", DefaultValueFactory = _ => 10 };
        var patience = new Option<int>("--connect-ms") { Description = "milliseconds after which a connection that was not accepted has failed, 1 to 60000; a client's kernel asks again after 1000", DefaultValueFactory = _ => (int)Prober.ImpatientConnect.TotalMilliseconds };
        var arp = new Option<string?>("--arp") { Description = "also record who answers ARP for the address on this interface (root)" };
        var json = new Option<string>("--output") { Description = "text, or json: a line for every request and claim; those until the first answer at once, the others at the end", DefaultValueFactory = _ => "text" };
        var command = new Command("probe",
            "Sends a fresh request at every period, answered or not (open loop), and reports failures and the longest gap between two successes.")
        {
            target, every, seconds, patience, arp, json,
        };
        command.SetAction((parsed, cancellation) => RunAsync(
            parsed.GetValue(target)!, parsed.GetValue(every), parsed.GetValue(seconds), parsed.GetValue(patience), parsed.GetValue(arp),
            parsed.GetValue(json) == "json", cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string target, int every, double seconds, int patience, string? arp, bool json, CancellationToken cancellation)
    {
        if (!IPEndPoint.TryParse(target, out var endpoint) || endpoint.Port == 0)
        {
            await Console.Error.WriteLineAsync($"evenkeel probe: '{target}' is no ADDRESS:PORT, such as 203.0.113.10:80").ConfigureAwait(false);
            return 2;
        }

        if (every is < 1 or > 60_000)
        {
            await Console.Error.WriteLineAsync($"evenkeel probe: --every-ms takes 1 to 60000, not {every}").ConfigureAwait(false);
            return 2;
        }

        if (patience is < 1 or > 60_000)
        {
            await Console.Error.WriteLineAsync($"evenkeel probe: --connect-ms takes 1 to 60000, not {patience}").ConfigureAwait(false);
            return 2;
        }

        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        if (seconds > 0)
        {
            end.CancelAfter(TimeSpan.FromSeconds(seconds));
        }
        else
        {
            _ = EndWithInputAsync(end);
        }

        var beganBoot = ProbeClock.BootMilliseconds;
        var prober = new Prober(endpoint, TimeSpan.FromMilliseconds(every), TimeSpan.FromMilliseconds(patience));
        using var observer = arp is null ? null : new ArpObserver(endpoint.Address, arp);
        var observing = observer is null
            ? Task.CompletedTask
            : Task.Factory.StartNew(() => observer.Run(TimeSpan.FromMilliseconds(10), end.Token), CancellationToken.None,
                TaskCreationOptions.LongRunning, TaskScheduler.Default);
        var measuring = Task.WhenAll(prober.RunAsync(end.Token), observing);
        if (json)
        {
            // Whoever waits for the first answer hears of it; all else is told at the end: printing beside it would be measured too.
            while (!measuring.IsCompleted && !Print(prober, beganBoot, observer))
            {
                await Task.WhenAny(measuring, Task.Delay(PrintEvery, CancellationToken.None)).ConfigureAwait(false);
            }

            await measuring.ConfigureAwait(false);
            Print(prober, beganBoot, observer);
        }
        else
        {
            await measuring.ConfigureAwait(false);
            var report = OutageReport.Of(prober.Take(), null);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{report.Requests} requests, {report.Failures} failed, longest outage {report.LongestOutage.TotalMilliseconds:0} ms, slowest answer {report.Slowest.TotalMilliseconds:0} ms"));
            foreach (var (reason, count) in report.Reasons)
            {
                Console.WriteLine($"  {count} × {reason}");
            }
        }

        return 0;
    }

    /// <summary>A line for each request and claim since the last time.</summary>
    /// <returns>Whether something has answered, and, where that is asked, somebody has claimed the address.</returns>
    private static bool Print(Prober prober, double beganBoot, ArpObserver? observer)
    {
        var (answered, claimed) = (false, observer is null);
        foreach (var probe in prober.Take())
        {
            answered |= probe.Failure is null;
            var line = new ProbeLine(beganBoot + probe.Started.TotalMilliseconds, probe.Took.TotalMilliseconds, probe.Connected, probe.Failure, probe.ServedBy);
            Console.WriteLine(JsonSerializer.Serialize(line, ProbeJson.Default.ProbeLine));
        }

        foreach (var claim in observer?.Take() ?? [])
        {
            claimed = true;
            Console.WriteLine(JsonSerializer.Serialize(claim, ProbeJson.Default.ArpClaim));
        }

        return answered && claimed;
    }

    /// <summary>On a thread of its own: a read of standard input blocks whoever asks for it.</summary>
    private static Task EndWithInputAsync(CancellationTokenSource end) => Task.Factory.StartNew(
        () =>
        {
            using var input = Console.OpenStandardInput();
            Span<byte> buffer = stackalloc byte[256];
            while (input.Read(buffer) > 0)
            {
                // Only its end counts.
            }

            end.Cancel();
        },
        CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}

/// <summary>A request as <c>probe --output json</c> prints it; times in milliseconds, <see cref="At"/> on CLOCK_BOOTTIME.</summary>
internal sealed record ProbeLine(double At, double Took, bool Connected, string? Failure, string? ServedBy);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ProbeLine))]
[JsonSerializable(typeof(ArpClaim))]
internal sealed partial class ProbeJson : JsonSerializerContext;
