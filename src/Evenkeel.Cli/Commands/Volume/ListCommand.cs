using System.CommandLine;
using System.Text.Json;
using Evenkeel.Agent.Control;
using Evenkeel.Cli.Views;

namespace Evenkeel.Cli.Commands.Volume;

/// <summary><c>volume list</c>.</summary>
internal static class ListCommand
{
    public static Command Create()
    {
        var output = Options.Output();
        return new DescribedCommand("list", "Lists the cluster's volumes: who writes them, which legs are in sync.", "Volumes are under 'volumes' in the cluster file.")
        { output }.Acts(async call =>
        {
            var volumes = (await call.Client.StatusAsync(call.Cancellation)).Volumes;
            if (call.Parsed.GetValue(output) == OutputFormat.Json)
                call.Output.WriteLine(JsonSerializer.Serialize(volumes, ClientJson.Default.IReadOnlyListVolumeReport));
            else if (volumes.Count == 0)
                call.Output.WriteLine("The cluster file names no volumes.");
            else
                Terminal.For(call.Output).Write(VolumeView.Of(volumes));
            return ExitCode.Success;
        });
    }
}
