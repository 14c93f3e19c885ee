using System.Globalization;

namespace Evenkeel.BalancerBench;

/// <summary>Medians of all rounds with the least and the greatest, a row for each measure, a column for each system; as Markdown.</summary>
internal sealed class Table
{
    private readonly List<string> rows = [], columns = [];
    private readonly Dictionary<(string Row, string Column), List<double>> cells = [];
    private readonly Dictionary<string, string> formats = [];

    public void Add(string row, string column, double value, string format)
    {
        if (!rows.Contains(row)) rows.Add(row);
        if (!columns.Contains(column)) columns.Add(column);
        formats[row] = format;
        if (!cells.TryGetValue((row, column), out var values)) cells[(row, column)] = values = [];
        values.Add(value);
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{row}, {column}: {value:0.##}"));
    }

    public void Print()
    {
        Console.WriteLine($"| | {string.Join(" | ", columns)} |");
        Console.WriteLine($"| --- |{string.Concat(columns.Select(_ => " --- |"))}");
        foreach (var row in rows)
            Console.WriteLine($"| {row} | {string.Join(" | ", columns.Select(column => Cell(row, column)))} |");
    }

    private string Cell(string row, string column)
    {
        if (!cells.TryGetValue((row, column), out var values)) return "";
        var sorted = values.Order().ToList();
        var median = sorted.Count % 2 == 1 ? sorted[sorted.Count / 2] : (sorted[sorted.Count / 2 - 1] + sorted[sorted.Count / 2]) / 2;
        var text = median.ToString(formats[row], CultureInfo.InvariantCulture);
        return sorted.Count == 1 ? text : string.Create(CultureInfo.InvariantCulture, $"{text} ({sorted[0].ToString(formats[row], CultureInfo.InvariantCulture)}–{sorted[^1].ToString(formats[row], CultureInfo.InvariantCulture)})");
    }
}
