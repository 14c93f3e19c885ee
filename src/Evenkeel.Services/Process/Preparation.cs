namespace Evenkeel.Services.Process;

/// <summary>
/// A command that runs before the program, in its place: a child of the guard under the same lease, user and limits, so that data is
/// brought in place by nobody who may not act. The program runs only if it succeeds, and as the very process that the guard started.
/// </summary>
internal static class Preparation
{
    public static IReadOnlyList<string> Before(IEnumerable<string>? prepare, IReadOnlyList<string> command) => prepare is null ? command
        : ["/bin/sh", "-c", $"{string.Join(' ', prepare.Select(Quote))} && exec \"$@\"", "prepare", .. command];

    // In single quotes nothing is special but the quote itself (POSIX.1-2017, XCU 2.2.2).
    private static string Quote(string word) => $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
