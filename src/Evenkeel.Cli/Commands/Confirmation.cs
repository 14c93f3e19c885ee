using System.CommandLine;
using Spectre.Console;

namespace Evenkeel.Cli.Commands;

/// <summary>Asks before something that cannot be taken back; scripts say <c>--yes</c>.</summary>
internal static class Confirmation
{
    public static Option<bool> Yes() => new("--yes", "-y") { Description = "Do not ask." };

    /// <summary>There is somebody to ask.</summary>
    public static bool IsPossible(TextWriter output) => Terminal.IsTerminal(output) && !Console.IsInputRedirected;

    /// <param name="trusted">What is believed without being checked, for when nobody can be asked.</param>
    /// <exception cref="CommandFailedException">Nobody can be asked, or the answer was no; nothing was changed.</exception>
    public static async Task AskAsync(string question, string trusted, TextWriter output, CancellationToken cancellation)
    {
        if (!IsPossible(output))
        {
            throw new CommandFailedException(ExitCode.Refused, $"{trusted}, and there is nobody to ask; nothing was changed", "If that is meant: --yes");
        }

        if (!await Terminal.For(output).PromptAsync(new ConfirmationPrompt(question) { DefaultValue = false }, cancellation))
        {
            throw new CommandFailedException(ExitCode.Refused, "nothing was changed");
        }
    }
}
