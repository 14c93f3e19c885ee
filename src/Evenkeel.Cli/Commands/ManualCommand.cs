using System.CommandLine;
using Evenkeel.Agent;
using Evenkeel.Cli.Manual;

namespace Evenkeel.Cli.Commands;

/// <summary><c>manual [COMMAND]</c>: the manual as pages for man(1); made from the command line itself, so that it is never stale.</summary>
internal static class ManualCommand
{
    public static Command Create()
    {
        var which = new Argument<string?>("COMMAND") { Description = "A command of evenkeel; the program as a whole when not given.", Arity = ArgumentArity.ZeroOrOne };
        var directory = new Option<string?>("--directory") { Description = "Write every page into this directory (evenkeel.8, evenkeel-COMMAND.8).", HelpName = "DIRECTORY" };
        var command = new DescribedCommand("manual", "Prints the manual page of a command, or writes all of them.", """
            Packages have installed them: man evenkeel, man evenkeel-status. From a checkout:
              evenkeel manual status | man -l -
            """)
        { which, directory };
        command.SetAction(parsed =>
        {
            var pages = ManualPages.All(CommandLine.Create(), ProgramVersion.Current.Split('+')[0]);
            if (parsed.GetValue(directory) is { } into)
            {
                Directory.CreateDirectory(into);
                foreach (var (file, page) in pages)
                    File.WriteAllText(Path.Combine(into, file), page);
                return ExitCode.Success;
            }

            var wanted = parsed.GetValue(which) is { } name ? $"evenkeel-{name}.8" : "evenkeel.8";
            parsed.InvocationConfiguration.Output.Write(pages.FirstOrDefault(page => page.File == wanted).Page
                ?? throw new CommandFailedException(ExitCode.Usage, $"there is no command '{parsed.GetValue(which)}'", "evenkeel --help lists them"));
            return ExitCode.Success;
        });
        return command;
    }
}
