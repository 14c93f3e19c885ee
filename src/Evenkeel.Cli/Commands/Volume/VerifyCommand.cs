using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Agent.Control;

namespace Evenkeel.Cli.Commands.Volume;

/// <summary><c>volume verify NAME</c>.</summary>
internal static class VerifyCommand
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(500);

    public static Command Create()
    {
        var name = new Argument<string>("VOLUME") { Description = "As in the cluster file." };
        var repair = new Option<bool>("--repair") { Description = "Also make the legs equal where they disagree, after the first that has the data." };
        var output = Options.Output();
        return new DescribedCommand("verify", "Compares all legs of a volume while it is in use.", """
            Run it on the node that writes the volume ('evenkeel volume list' says which). It reads every leg as a whole, at the
            volume's 'sync_rate'. Exit code 1 when legs disagreed (and were not repaired).
            """)
        { name, repair, output }.Acts(async call =>
        {
            var volume = StatusCommand.Find(await call.Client.StatusAsync(call.Cancellation), call.Parsed.GetRequiredValue(name)).Name;
            var begun = await call.Client.VerifyVolumeAsync(volume, new VerifyOrder(call.Parsed.GetValue(repair)), call.Cancellation);
            while (true)
            {
                var report = await call.Client.VolumeAsync(volume, call.Cancellation);
                if (report.Verified >= begun.Number)
                {
                    if (call.Parsed.GetValue(output) == OutputFormat.Json) call.Output.WriteLine(JsonSerializer.Serialize(report, ClientJson.Default.WriterReport));
                    else call.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{volume}: {report.Mismatches ?? 0} sectors disagreed{(call.Parsed.GetValue(repair) && report.Mismatches > 0 ? ", and were made equal" : "")}"));
                    return report.Mismatches is > 0 && !call.Parsed.GetValue(repair) ? ExitCode.Failed : ExitCode.Success;
                }

                await Task.Delay(s_look, call.Cancellation);
            }
        });
    }
}
