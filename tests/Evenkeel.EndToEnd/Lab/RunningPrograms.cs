using System.Globalization;
using Evenkeel.Agent.Local;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>What runs, by its command line.</summary>
internal static class RunningPrograms
{
    /// <summary>Each process of a network namespace with its words, program first; one that ends while we look is left out.</summary>
    public static async Task<IReadOnlyList<(int Id, string[] Words)>> InAsync(string space) => await WordsOfAsync(await LabNetwork.ProcessesIn(space));

    /// <summary>The same of the whole machine.</summary>
    public static Task<IReadOnlyList<(int Id, string[] Words)>> AllAsync() => WordsOfAsync(
        Directory.GetDirectories("/proc").Select(Path.GetFileName).Where(name => name!.All(char.IsAsciiDigit)).Select(name => int.Parse(name!, CultureInfo.InvariantCulture)));

    private static async Task<IReadOnlyList<(int Id, string[] Words)>> WordsOfAsync(IEnumerable<int> processes)
    {
        List<(int, string[])> found = [];
        foreach (var id in processes)
        {
            try
            {
                found.Add((id, (await File.ReadAllTextAsync($"/proc/{id}/cmdline")).Split('\0')));
            }
            catch (IOException)
            {
                // It ended.
            }
        }

        return found;
    }

    public static async Task<int> OneInAsync(string space, Predicate<string[]> which, string name) =>
        (await InAsync(space)).Where(one => which(one.Words)).Select(one => (int?)one.Id).FirstOrDefault() ?? throw new InvalidOperationException($"no {name} runs in {space}");

    /// <summary>Fields of proc(5)'s stat, counted from 1.</summary>
    public const int Parent = 4, Session = 6;

    /// <summary>One of those numbers; null when the process has ended.</summary>
    public static int? StatOf(int process, int field)
    {
        try
        {
            // The third is the first after the name in parentheses, which may have spaces.
            var stat = File.ReadAllText($"/proc/{process}/stat");
            return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[field - 3], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return null;
        }
    }

    public static bool IsGuard(string[] words) => words[0].EndsWith("/evenkeel-guard", StringComparison.Ordinal) && words.Contains("--socket");
    public static bool IsWeb(string[] words) => words[0].EndsWith("/web", StringComparison.Ordinal);
}
