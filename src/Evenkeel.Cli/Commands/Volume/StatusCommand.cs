using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Control;
using Evenkeel.Cli.Views;

namespace Evenkeel.Cli.Commands.Volume;

/// <summary><c>volume status NAME</c>.</summary>
internal static class StatusCommand
{
    public static Command Create()
    {
        var name = new Argument<string>("VOLUME") { Description = "As in the cluster file." };
        var output = Options.Output();
        return new DescribedCommand("status", "Shows one volume: its writer, its legs, what is being copied.",
            "Exit code 1 when a leg is not in sync (an asynchronous one: does not follow), or nobody has mounted it though a service works on it.")
        { name, output }.Acts(async call =>
        {
            var volume = Find(await call.Client.StatusAsync(call.Cancellation), call.Parsed.GetRequiredValue(name));
            if (call.Parsed.GetValue(output) == OutputFormat.Json)
                call.Output.WriteLine(JsonSerializer.Serialize(volume, ClientJson.Default.VolumeReport));
            else
                foreach (var line in Lines(volume)) call.Output.WriteLine(line);
            return volume.Legs.All(leg => leg.State is LegState.InSync or LegState.Following) && (volume.Mounted || volume.Service is null) ? ExitCode.Success : ExitCode.Failed;
        });
    }

    /// <exception cref="CommandFailedException">There is none of this name.</exception>
    public static VolumeReport Find(StatusReport status, string name) => status.Volumes.FirstOrDefault(volume => volume.Name == name)
        ?? throw new CommandFailedException(ExitCode.Usage, $"there is no volume '{name}'", Spelling.Advice(name, [.. status.Volumes.Select(volume => volume.Name)]));

    private static string Backlog(VolumeLegReport leg) => leg is not { Asynchronous: true } ? "" : leg.BacklogBytes is not { } bytes ? ", asynchronous"
        : string.Create(CultureInfo.InvariantCulture, $", asynchronous: lacks {(leg.State == LegState.Following ? "" : "at least ")}{ByteSize.Format(bytes)}{(leg.BacklogSeconds is > 0 and var age ? $", for {age:0.0} s" : "")}");

    private static IEnumerable<string> Lines(VolumeReport volume)
    {
        yield return string.Create(CultureInfo.InvariantCulture, $"{volume.Name}: RAID {volume.Level}, {ByteSize.Format(volume.Size)}, {(volume.Service is { } service ? $"for {service} at {volume.MountAt}" : "no service works on it")}");
        yield return volume.Writer is { } writer ? $"  writer  {writer}{(volume.Mounted ? "" : ", not mounted yet")}" : "  writer  none";
        foreach (var leg in volume.Legs)
            yield return $"  leg     {leg.Node}:{leg.Path}  {VolumeView.Word(leg.State)}{Backlog(leg)}{(leg.Detail.Length > 0 ? $" ({leg.Detail})" : "")}";
        if (volume.Reason.Length > 0) yield return $"  in sync because: {volume.Reason}";
        if (volume.Detail.Length > 0) yield return $"  {volume.Detail}";
    }
}
