// JDBC as a program that uses it: prepared statements beyond the threshold from which the driver names them, rows fetched in parts, a
// batch, values of many types, an error. It needs the table `items` of the tests.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { must } from "./run.ts"
import { scratch } from "./scratch.ts"

/** Debian's (libpostgresql-jdbc-java). */
export const jdbc = "/usr/share/java/postgresql.jar"

export const jdbc_answers = ["2 pear", "10000", "3", "7", "22P02", "done", ""]

let source: string | undefined

/** What the program says, line by line. */
export async function jdbcSays(url: string, user: string, password: string): Promise<string[]> {
  if (source === undefined) writeFileSync((source = join(scratch("jdbc"), "Driver.java")), java)
  return (await must("java", ["-cp", jdbc, source, url, user, password])).split("\n")
}

const java = `
import java.sql.*;
public class Driver {
  public static void main(String[] a) throws Exception {
    try (Connection db = DriverManager.getConnection(a[0], a[1], a[2])) {
      for (int round = 0; round < 7; round++) { // past its threshold the driver names the statement
        try (PreparedStatement s = db.prepareStatement("SELECT id, name FROM items WHERE id = ?")) {
          s.setInt(1, 2);
          ResultSet r = s.executeQuery();
          r.next();
          if (round == 6) System.out.println(r.getInt(1) + " " + r.getString(2));
        }
      }
      db.setAutoCommit(false);
      try (PreparedStatement s = db.prepareStatement("SELECT generate_series(1, ?) AS n")) {
        s.setFetchSize(1000);
        s.setInt(1, 10000);
        ResultSet r = s.executeQuery();
        int n = 0;
        while (r.next()) n++;
        System.out.println(n);
      }
      db.createStatement().execute("CREATE TEMPORARY TABLE batch (n int, t text)");
      try (PreparedStatement s = db.prepareStatement("INSERT INTO batch VALUES (?, ?)")) {
        for (int i = 0; i < 3; i++) { s.setInt(1, i); s.setString(2, "row " + i); s.addBatch(); }
        System.out.println(s.executeBatch().length);
      }
      db.commit();
      try (PreparedStatement s = db.prepareStatement("SELECT ?::int8, ?::int8, ?::float8, ?::bool, ?::text")) {
        s.setInt(1, 7); s.setLong(2, Long.MIN_VALUE); s.setDouble(3, 1.5); s.setBoolean(4, true); s.setString(5, "it's \\u2603");
        for (int i = 0; i < 7; i++) { ResultSet r = s.executeQuery(); r.next(); if (i == 6) System.out.println(r.getLong(1)); }
      }
      try { db.createStatement().execute("SELECT 'x'::int"); } catch (SQLException e) { System.out.println(e.getSQLState()); }
      db.rollback();
      System.out.println("done");
    }
  }
}
`
