using System.ComponentModel;
using System.Diagnostics;
using Evenkeel.Core.Model;
using Evenkeel.Services.Process;

namespace Evenkeel.Services.Alerting;

/// <summary>Runs a command with the notice on its standard input and in short in its environment; exit code 0 is success.</summary>
public sealed class CommandDelivery(AlertReceiverSpec receiver) : IDelivery
{
    public async Task<DeliveryResult> SendAsync(Notice notice, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(receiver.Command![0], receiver.Command.Skip(1)) { WorkingDirectory = "/" };
        foreach (var (name, text) in notice.Variables)
        {
            start.Environment[name] = text;
        }

        try
        {
            var end = await ChildRun.RunAsync(start, receiver.TimeLimit, cancellation, notice.Body).ConfigureAwait(false);
            return end.ExitCode switch
            {
                0 => DeliveryResult.Success,
                null => new DeliveryResult(false, true, $"it had not ended after {receiver.TimeLimit.TotalSeconds:0.#} s and was killed"),
                { } code => new DeliveryResult(false, true, $"it ended with {code}: {Short(end.Errors + end.Output)}"),
            };
        }
        catch (Win32Exception failure)
        {
            return new DeliveryResult(false, true, $"{receiver.Command[0]} could not be started: {failure.Message}");
        }
    }

    private static string Short(string said)
    {
        var line = said.ReplaceLineEndings(" ").Trim();
        return line[..Math.Min(line.Length, 200)];
    }
}
