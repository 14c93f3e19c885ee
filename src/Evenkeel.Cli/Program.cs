namespace Evenkeel.Cli;

internal static class Program
{
    public static int Main(string[] arguments) => CommandLine.Run(arguments, StandardOutput.Open(), Console.Error);
}
